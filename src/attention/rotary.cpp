#include "src/attention/rotary.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>

namespace longspan {

Rotary::Rotary(const RopeFrequencies& frequencies, const at::Tensor& position_ids,
               at::ScalarType dtype) {
  // Angles in float32 and tables in the heads' dtype, as transformers has them.
  at::Tensor inv_freq = at::tensor(frequencies.inv_freq, at::kDouble).to(at::kFloat);
  at::Tensor angles = position_ids.to(at::kFloat).unsqueeze(-1) * inv_freq;  // [B, T, R / 2]
  cos_ = (angles.cos() * frequencies.attention_factor).to(dtype).unsqueeze(1);
  sin_ = (angles.sin() * frequencies.attention_factor).to(dtype).unsqueeze(1);
}

at::Tensor Rotary::rotate(const at::Tensor& x) const {
  if (!cos_.defined()) return x;
  int64_t half = cos_.size(-1), rest = x.size(-1) - 2 * half;
  at::Tensor low = x.narrow(-1, 0, half), high = x.narrow(-1, half, half);
  at::Tensor turned_low = low * cos_ - high * sin_, turned_high = high * cos_ + low * sin_;
  if (rest == 0) return at::cat({turned_low, turned_high}, -1);
  return at::cat({turned_low, turned_high, x.narrow(-1, 2 * half, rest)}, -1);
}

}  // namespace longspan
