#include "src/attention/rotary.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/custom_function.h>

#include "src/attention/kernels/bf16_tensor.h"
#include "src/attention/kernels/rotary_bf16.h"

namespace longspan {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kGrainTokens = 32;

/// x [B, H, T, D] with contiguous rows; cos, sin [B or 1, 1, T, R / 2], of which
/// R <= D dimensions turn. The result's memory is
/// [B, T, H, D], as that of the projection which made x.
at::Tensor rotate_bf16(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin,
                       bool inverse) {
  const int64_t batch = x.size(0), heads = x.size(1), tokens = x.size(2), size = x.size(3);
  const int64_t half = cos.size(3);
  at::Tensor out = at::empty({batch, tokens, heads, size}, x.options());
  at::parallel_for(0, batch * tokens, kGrainTokens, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t b = i / tokens, t = i % tokens;
      const int64_t table = ((cos.size(0) == 1 ? 0 : b) * tokens + t) * half;
      bf16::rotate_heads(bf16_data(x) + b * x.stride(0) + t * x.stride(2), x.stride(1),
                         bf16_data(cos) + table, bf16_data(sin) + table, heads, half,
                         size - 2 * half, inverse, mutable_bf16_data(out) + i * heads * size);
    }
  });
  return out.transpose(1, 2);
}

class Rotate : public torch::autograd::Function<Rotate> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& cos,
                            const at::Tensor& sin) {
    context->save_for_backward({cos, sin});
    return rotate_bf16(with_contiguous_rows(x), cos, sin, /*inverse=*/false);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    return {rotate_bf16(with_contiguous_rows(gradients[0]), saved[0], saved[1], /*inverse=*/true),
            at::Tensor(), at::Tensor()};
  }
};

}  // namespace

Rotary::Rotary(const RopeFrequencies& frequencies, const at::Tensor& position_ids,
               at::ScalarType dtype) {
  // Angles in float32 and tables in the heads' dtype, as transformers has them.
  at::Tensor inv_freq = at::tensor(frequencies.inv_freq, at::kDouble).to(at::kFloat);
  at::Tensor angles = position_ids.to(at::kFloat).unsqueeze(-1) * inv_freq;  // [B, T, R / 2]
  cos_ = (angles.cos() * frequencies.attention_factor).to(dtype).unsqueeze(1).contiguous();
  sin_ = (angles.sin() * frequencies.attention_factor).to(dtype).unsqueeze(1).contiguous();
}

at::Tensor Rotary::rotate(const at::Tensor& x) const {
  if (!cos_.defined()) return x;
  if (runs_bf16_kernels(x) && runs_bf16_kernels(cos_)) return Rotate::apply(x, cos_, sin_);
  int64_t half = cos_.size(-1), rest = x.size(-1) - 2 * half;
  at::Tensor low = x.narrow(-1, 0, half), high = x.narrow(-1, half, half);
  at::Tensor turned_low = low * cos_ - high * sin_, turned_high = high * cos_ + low * sin_;
  if (rest == 0) return at::cat({turned_low, turned_high}, -1);
  return at::cat({turned_low, turned_high, x.narrow(-1, 2 * half, rest)}, -1);
}

}  // namespace longspan
