#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace longspan {

class Linear;
class LoraDropout;

/// What a LoraLinear adds to its frozen weight: scale (D(x) A^T) B^T.
struct LowRank {
  const at::Tensor& a;  // [r, in_features]
  const at::Tensor& b;  // [out_features, r]
  double scale;
  const LoraDropout* dropout;  // D; null: none
};

/// A and B of each low-rank part, in turn.
std::vector<at::Tensor> low_rank_factors(const std::vector<const Linear*>& linears);

/// Several projections of one input: y_i = x W_i^T + b_i + scale_i (x A_i^T) B_i^T, those of q, k
/// and v or of gate and up. x is read once for all A (where dropout acts, for each), the low-rank
/// parts are added in place, and nothing is kept for backward but x and x A^T: W and b are frozen.
/// Where one is not is_frozen() each goes its own way. The linears must outlive backward. x [...,
/// in_features] -> [..., out_features] each.
std::vector<at::Tensor> project(const at::Tensor& x, const std::vector<const Linear*>& linears);

/// project() where no weight and no bias is trained, whatever else a linear trains; without biases
/// unless with_bias.
std::vector<at::Tensor> project_frozen(const at::Tensor& x,
                                       const std::vector<const Linear*>& linears,
                                       bool with_bias = true);

/// x W^T alone, W not trained and, where it is quantised, not kept for backward. The linear must
/// outlive backward.
at::Tensor project_weight(const at::Tensor& x, const Linear& linear);

/// The backward of project() without its forward: adds the gradients of A and B to theirs and
/// returns that of x, undefined unless wants_x. Each linear must have is_frozen(). grad_ys
/// [..., out_features] each.
at::Tensor project_backward(const at::Tensor& x, const std::vector<const Linear*>& linears,
                            const std::vector<at::Tensor>& grad_ys, bool wants_x);

}  // namespace longspan
