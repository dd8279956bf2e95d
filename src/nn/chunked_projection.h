#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace longspan {

class Linear;
class RmsNorm;

/// project(norm(x), linears), at most `chunk_tokens` tokens at once (0: all): the whole of norm(x)
/// never exists, and nothing but x is kept for backward, which makes it again chunk by chunk and
/// gives the parameters their gradients itself. All at once too where a linear is not is_frozen().
/// norm and linears must outlive backward. x [B, T, in_features] -> [B, T, out_features] each.
std::vector<at::Tensor> project_normed(const at::Tensor& x, const RmsNorm& norm,
                                       const std::vector<const Linear*>& linears,
                                       int64_t chunk_tokens);

}  // namespace longspan
