#pragma once

#include <memory>
#include <string>

#include "checkpoints/model_source.h"
#include "data/store/token_store.h"

namespace longspan {

/// Opens a token store for this model. Throws Error(kData) when it was made with another tokenizer;
/// where the model has none to compare with, warns, or throws when the store's vocabulary is
/// larger.
std::shared_ptr<const TokenStore> open_store(const std::string& path, const ModelSource& model);

}  // namespace longspan
