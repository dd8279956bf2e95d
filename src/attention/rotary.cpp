#include "src/attention/rotary.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "src/attention/kernels/bf16_tensor.h"
#include "src/attention/kernels/operators.h"
#include "src/attention/kernels/rotary_bf16.h"

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
               at::ScalarType dtype) {
  // Angles in float32 and tables in the heads' dtype, as transformers has them.
  at::Tensor inv_freq =
      at::tensor(frequencies.inv_freq, at::kDouble).to(position_ids.device(), at::kFloat);
  at::Tensor angles = position_ids.to(at::kFloat).unsqueeze(-1) * inv_freq;  // [B, T, R / 2]
  cos_ = (angles.cos() * frequencies.attention_factor).to(dtype).unsqueeze(1).contiguous();
  sin_ = (angles.sin() * frequencies.attention_factor).to(dtype).unsqueeze(1).contiguous();
}

at::Tensor Rotary::rotate(const at::Tensor& x) const {
  return cos_.defined() ? Rotate::apply(x, cos_, sin_) : x;
}

TORCH_LIBRARY_FRAGMENT(longspan, library) {
  library.def("rotate_heads(Tensor x, Tensor cos, Tensor sin, bool inverse) -> Tensor");
}

TORCH_LIBRARY_IMPL(longspan, CPU, library) {
  library.impl("rotate_heads", [](const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin,
                                  bool inverse) {
    const bool vectorised = runs_bf16_kernels(x) && runs_bf16_kernels(cos);
    return vectorised ? rotate_bf16(x, cos, sin, inverse) : rotate_plain(x, cos, sin, inverse);
  });
}

}  // namespace longspan
