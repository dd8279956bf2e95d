#pragma once

#include <cstdint>
#include <vector>

#include "data/store/token_store.h"
#include "src/model/causal_lm.h"

namespace longspan {

/// The cross entropy in nats of each of the last `targets` of `ids`, predicted from all before it
/// in the passes that the model's attention wants, without gradients. 1 <= targets < size; a result
/// may be NaN or infinite.
std::vector<double> window_losses(CausalLm& model, const std::vector<int64_t>& ids,
                                  int64_t targets);
/// Their mean.
double window_loss(CausalLm& model, const std::vector<int64_t>& ids, int64_t targets);

/// The first `length` tokens of each of the first `documents` documents (0: of all) of the store
/// that have so many. None is Error(kData) that names the longest.
std::vector<std::vector<int64_t>> first_windows(const TokenStore& store, int64_t length,
                                                int64_t documents);

}  // namespace longspan
