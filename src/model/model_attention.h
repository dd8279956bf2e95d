#pragma once

#include <string>

#include "src/attention/attention.h"
#include "src/model/model_config.h"

namespace longspan {

/// What of the pattern does not suit the model: layers or heads that it lacks. Empty: nothing.
std::string misfit_of_attention(const AttentionPattern& pattern, const ModelConfig& config);

/// The pattern's name for people, with the part of the model that attends so where that is not all
/// of it: "shifted_sparse in 20 of 30 layers", "shifted_sparse in 6 of 9 heads of 20 of 30 layers".
std::string describe_attention(const AttentionPattern& pattern, const ModelConfig& config);

}  // namespace longspan
