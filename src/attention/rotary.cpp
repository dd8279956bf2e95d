#include "src/attention/rotary.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <utility>

#include "src/attention/kernels/rotary_kernels.h"
#include "src/simd/operators.h"

namespace longspan {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// x [B, H, T, D] with contiguous rows; cos, sin [B or 1, 1, T, R / 2], contiguous and in the dtype
// of x, of which R <= D dimensions turn; `inverse` turns back.
using RotateHeads = at::Tensor(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin,
                               bool inverse);

constexpr int64_t kGrainTokens = 32;

at::Tensor rotate_heads(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin,
                        bool inverse) {
  static const auto op = find_operator<RotateHeads>("longspan::rotate_heads");
  TORCH_CHECK(cos.sizes() == sin.sizes() && cos.scalar_type() == sin.scalar_type() &&
                  (cos.size(0) == 1 || cos.size(0) == x.size(0)) && cos.size(2) == x.size(2) &&
                  2 * cos.size(3) <= x.size(3),
              "Rotary: cos ", cos.sizes(), " and sin ", sin.sizes(), " do not suit heads ",
              x.sizes());
  return op.call(with_contiguous_rows(x), cos, sin, inverse);
}

class Rotate : public torch::autograd::Function<Rotate> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& cos,
                            const at::Tensor& sin) {
    context->save_for_backward({cos, sin});
    return rotate_heads(x, cos, sin, /*inverse=*/false);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    return {rotate_heads(gradients[0], saved[0], saved[1], /*inverse=*/true), at::Tensor(),
            at::Tensor()};
  }
};

/// The result's memory is [B, T, H, D], as that of the projection which made x.
at::Tensor rotate_by_kernel(rotary::RotateTokens rotate_tokens, const at::Tensor& x,
                            const at::Tensor& cos, const at::Tensor& sin, bool inverse) {
  const int64_t batch = x.size(0), heads = x.size(1), tokens = x.size(2), size = x.size(3);
  const int64_t half = cos.size(3);
  at::Tensor out = at::empty({batch, tokens, heads, size}, x.options());
  const rotary::HeadRows in{.x = x.const_data_ptr(),
                            .batch_stride = x.stride(0),
                            .head_stride = x.stride(1),
                            .token_stride = x.stride(2),
                            .cos = cos.const_data_ptr(),
                            .sin = sin.const_data_ptr(),
                            .table_batch_stride = cos.size(0) == 1 ? 0 : tokens * half,
                            .heads = heads,
                            .tokens = tokens,
                            .half = half,
                            .rest = size - 2 * half,
                            .inverse = inverse};
  at::parallel_for(0, batch * tokens, kGrainTokens, [&](int64_t begin, int64_t end) {
    rotate_tokens(in, begin, end, out.mutable_data_ptr());
  });
  return out.transpose(1, 2);
}

at::Tensor rotate_plain(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin,
                        bool inverse) {
  const int64_t half = cos.size(-1), rest = x.size(-1) - 2 * half;
  const at::Tensor value = exact(x), c = exact(cos), s = inverse ? -exact(sin) : exact(sin);
  const at::Tensor low = value.narrow(-1, 0, half), high = value.narrow(-1, half, half);
  return at::cat({low * c - high * s, high * c + low * s, value.narrow(-1, 2 * half, rest)}, -1)
      .to(x.scalar_type());
}

}  // namespace

Rotary::Rotary(const RopeFrequencies& frequencies, const at::Tensor& position_ids,
               at::ScalarType dtype)
    : Rotary(at::tensor(frequencies.inv_freq, at::kDouble).to(position_ids.device(), at::kFloat),
             frequencies.attention_factor, position_ids, dtype) {}

Rotary::Rotary(at::Tensor inv_freq, double attention_factor, const at::Tensor& position_ids,
               at::ScalarType dtype)
    : inv_freq_(std::move(inv_freq)), attention_factor_(attention_factor) {
  // Angles in float32 and tables in the heads' dtype, as transformers has them.
  at::Tensor angles = position_ids.to(at::kFloat).unsqueeze(-1) * inv_freq_;  // [B, T, R / 2]
  cos_ = (angles.cos() * attention_factor_).to(dtype).unsqueeze(1).contiguous();
  sin_ = (angles.sin() * attention_factor_).to(dtype).unsqueeze(1).contiguous();
}

Rotary Rotary::at(const at::Tensor& position_ids) const {
  if (!cos_.defined()) return {};
  return Rotary(inv_freq_, attention_factor_, position_ids, cos_.scalar_type());
}

at::Tensor Rotary::rotate(const at::Tensor& x) const {
  if (!cos_.defined()) return x;
  return at::GradMode::is_enabled() ? Rotate::apply(x, cos_, sin_)
                                    : rotate_heads(x, cos_, sin_, /*inverse=*/false);
}

at::Tensor Rotary::rotate_as_if_first(const at::Tensor& x) const {
  if (!cos_.defined() || attention_factor_ == 1) return x;
  const int64_t rotated = 2 * cos_.size(-1);
  // Rounded as the tables are.
  const at::Tensor factor = at::scalar_tensor(attention_factor_, cos_.options());
  return at::cat({x.narrow(-1, 0, rotated) * factor, x.narrow(-1, rotated, x.size(-1) - rotated)},
                 -1);
}

TORCH_LIBRARY_FRAGMENT(longspan, library) {
  library.def("rotate_heads(Tensor x, Tensor cos, Tensor sin, bool inverse) -> Tensor");
}

TORCH_LIBRARY_IMPL(longspan, CPU, library) {
  library.impl("rotate_heads", [](const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin,
                                  bool inverse) {
    const auto* kernel = cos.scalar_type() == x.scalar_type() ? rotary::kernel_for(x) : nullptr;
    return kernel ? rotate_by_kernel(*kernel, x, cos, sin, inverse)
                  : rotate_plain(x, cos, sin, inverse);
  });
}

}  // namespace longspan
