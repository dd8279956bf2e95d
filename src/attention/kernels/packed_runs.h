#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "src/attention/kernels/causal_runs.h"

namespace longspan {

/// All runs of all query heads as sequences of a single head, one behind the other: one call of
/// LibTorch's flash attention for sequences of many lengths, where a small model would wait for a
/// call a run (8 a layer for shifted groups in SmolLM2).
struct PackedRuns {
  at::Tensor begins;    // [runs + 1] int32, on the CPU: where each begins, and the end of the last
  int64_t longest = 0;  // tokens
};
PackedRuns pack_runs(const std::vector<AlikeHeads>& heads);

/// How many sequences pack_runs() makes.
int64_t packed_sequences(const std::vector<AlikeHeads>& heads);

/// x [B, H or Hkv, T, D] as [B * query_heads * T, 1, D], heads of keys once for each query head.
at::Tensor pack_heads(const at::Tensor& x, int64_t query_heads);
/// Back to the form of `like`, [B, H or Hkv, T, D]; what query heads share is summed.
at::Tensor unpack_heads(const at::Tensor& packed, const at::Tensor& like);

}  // namespace longspan
