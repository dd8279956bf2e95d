#pragma once

#include "trainer/eval/arms/reducing_arm.h"

namespace longspan {

/// The model's own embedding of texts: the mean over their tokens of the last hidden states, each
/// text read for itself (after a BOS where there is one), as a vector of length 1.
///   -> [texts, hidden_size] float32
at::Tensor mean_hidden_states(const EvalSubject& subject,
                              const std::vector<std::vector<int64_t>>& texts);

}  // namespace longspan
