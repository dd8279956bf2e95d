#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace longspan {

/// Rows of weight [V, C] by ids int64 [...]: [..., C]. Differentiable once in weight: the gradient
/// of a row is summed over the places of its token in float32 (float64 in float64), in their order,
/// and rounded once; LibTorch's own on the CPU adds in the dtype, where bfloat16 loses a third of
/// what 4,000 places give. The row padding_idx has none (-1: every row has).
at::Tensor embed_tokens(const at::Tensor& weight, const at::Tensor& ids, int64_t padding_idx = -1);

}  // namespace longspan
