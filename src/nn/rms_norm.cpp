#include "src/nn/rms_norm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/rms_norm.h>

namespace longspan {

at::Tensor RmsNorm::forward(const at::Tensor& x) const {
  if (!zero_centered_) return at::rms_norm(x, weight.sizes(), weight, eps_);
  // Gemma rounds once, after the weight; 1 + weight would lose bits in bfloat16.
  return at::rms_norm(x.to(at::kFloat), weight.sizes(), weight.to(at::kFloat) + 1, eps_)
      .to(x.scalar_type());
}

}  // namespace longspan
