#include "src/nn/rms_norm.h"

#include <ATen/ops/rms_norm.h>

namespace longspan {

at::Tensor RmsNorm::forward(const at::Tensor& x) const {
  return at::rms_norm(x, weight.sizes(), weight, eps_);
}

}  // namespace longspan
