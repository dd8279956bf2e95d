#include "src/nn/rms_norm.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <tuple>

#include "src/nn/gradient_sums.h"
#include "src/nn/kernels/elementwise.h"
#include "src/simd/operators.h"

namespace longspan {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// x and grad [.., size] and weight [size] are contiguous; inverse_rms [rows] is in float32, or
// float64 when x is; grad_weight is undefined unless wants_weight, and in the dtype of inverse_rms.
using RmsNormForward = std::tuple<at::Tensor, at::Tensor>(const at::Tensor& x,
                                                          const at::Tensor& weight, double eps,
                                                          bool zero_centered);
using RmsNormBackward = std::tuple<at::Tensor, at::Tensor>(const at::Tensor& grad,
                                                           const at::Tensor& x,
                                                           const at::Tensor& weight,
                                                           const at::Tensor& inverse_rms,
                                                           bool zero_centered, bool wants_weight);

constexpr int64_t kGrainRows = 32;
constexpr int64_t kShares = 64;  // of the weight's gradient, whatever the number of threads

std::tuple<at::Tensor, at::Tensor> rms_norm(const at::Tensor& x, const at::Tensor& weight,
                                            double eps, bool zero_centered) {
  static const auto op = find_operator<RmsNormForward>("longspan::rms_norm");
  return op.call(x, weight, eps, zero_centered);
}

class RmsNormFunction : public torch::autograd::Function<RmsNormFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            double eps, bool zero_centered) {
    auto [y, inverse_rms] = rms_norm(x, weight, eps, zero_centered);
    context->save_for_backward({x, weight, inverse_rms});
    context->saved_data["zero_centered"] = zero_centered;
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    static const auto op = find_operator<RmsNormBackward>("longspan::rms_norm_backward");
    const variable_list saved = context->get_saved_variables();
    auto [grad_x, grad_weight] =
        op.call(gradients[0].contiguous(), saved[0], saved[1], saved[2],
                context->saved_data["zero_centered"].toBool(), context->needs_input_grad(1));
    if (grad_weight.defined()) {
      const bool taken = GradientSums::take(saved[1], grad_weight);
      grad_weight = taken ? at::Tensor() : grad_weight.to(saved[1].scalar_type());
    }
    return {grad_x, grad_weight, at::Tensor(), at::Tensor()};
  }
};

elementwise::NormRows rows_of(const at::Tensor& x, const at::Tensor& weight, bool zero_centered) {
  return {x.const_data_ptr(), weight.const_data_ptr(), zero_centered ? 1.0f : 0.0f, x.size(-1)};
}

std::tuple<at::Tensor, at::Tensor> kernel_forward(const elementwise::Kernels& kernels,
                                                  const at::Tensor& x, const at::Tensor& weight,
                                                  double eps, bool zero_centered) {
  const int64_t rows = x.numel() / x.size(-1);
  at::Tensor y = at::empty_like(x), inverse_rms = at::empty({rows}, x.options().dtype(at::kFloat));
  const elementwise::NormRows in = rows_of(x, weight, zero_centered);
  at::parallel_for(0, rows, kGrainRows, [&](int64_t begin, int64_t end) {
    kernels.rms_norm_forward(in, static_cast<float>(eps), begin, end, y.mutable_data_ptr(),
                             inverse_rms.mutable_data_ptr<float>());
  });
  return {y, inverse_rms};
}

std::tuple<at::Tensor, at::Tensor> kernel_backward(const elementwise::Kernels& kernels,
                                                   const at::Tensor& grad, const at::Tensor& x,
                                                   const at::Tensor& weight,
                                                   const at::Tensor& inverse_rms,
                                                   bool zero_centered, bool wants_weight) {
  const int64_t size = x.size(-1), rows = x.numel() / size;
  const int64_t share_rows = std::max<int64_t>((rows + kShares - 1) / kShares, 1);
  const int64_t num_shares = (rows + share_rows - 1) / share_rows;
  at::Tensor grad_x = at::empty_like(x), shares;
  if (wants_weight) shares = at::zeros({num_shares, size}, x.options().dtype(at::kFloat));
  const elementwise::NormRows in = rows_of(x, weight, zero_centered);
  const int64_t grain = std::max<int64_t>(kGrainRows / share_rows, 1);
  at::parallel_for(0, num_shares, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* share = shares.defined() ? shares.mutable_data_ptr<float>() + i * size : nullptr;
      kernels.rms_norm_backward(grad.const_data_ptr(), in, inverse_rms.const_data_ptr<float>(),
                                i * share_rows, std::min(rows, (i + 1) * share_rows),
                                grad_x.mutable_data_ptr(), share);
    }
  });
  return {grad_x, shares.defined() ? shares.sum(0) : shares};
}

/// 1 + weight would lose bits in bfloat16.
at::Tensor scale_of(const at::Tensor& weight, bool zero_centered) {
  return zero_centered ? exact(weight) + 1 : exact(weight);
}

std::tuple<at::Tensor, at::Tensor> plain_forward(const at::Tensor& x, const at::Tensor& weight,
                                                 double eps, bool zero_centered) {
  const at::Tensor value = exact(x);
  const at::Tensor inverse = (value.square().mean({-1}, /*keepdim=*/true) + eps).rsqrt();
  const at::Tensor y = value * inverse * scale_of(weight, zero_centered);
  return {y.to(x.scalar_type()), inverse.view({-1})};
}

std::tuple<at::Tensor, at::Tensor> plain_backward(const at::Tensor& grad, const at::Tensor& x,
                                                  const at::Tensor& weight,
                                                  const at::Tensor& inverse_rms, bool zero_centered,
                                                  bool wants_weight) {
  const int64_t size = x.size(-1), rows = x.numel() / size;
  const at::Tensor inverse = inverse_rms.unsqueeze(1), exact_grad = exact(grad.view({rows, size}));
  const at::Tensor normed = exact(x.view({rows, size})) * inverse;
  const at::Tensor grad_normed = exact_grad * scale_of(weight, zero_centered);
  const at::Tensor along = (grad_normed * normed).mean({-1}, /*keepdim=*/true);
  at::Tensor grad_x = ((grad_normed - normed * along) * inverse).to(x.scalar_type()).view_as(x);
  at::Tensor grad_weight;
  if (wants_weight) grad_weight = (exact_grad * normed).sum(0);
  return {grad_x, grad_weight};
}

/// Null where the plain form does the work.
const elementwise::Kernels* kernels_for(const at::Tensor& x, const at::Tensor& weight) {
  return x.scalar_type() == weight.scalar_type() ? elementwise::kernels_for(x) : nullptr;
}

}  // namespace

at::Tensor RmsNorm::forward(const at::Tensor& x) const {
  TORCH_CHECK(weight.dim() == 1 && weight.size(0) == x.size(-1), "RmsNorm: x ", x.sizes(),
              " does not end in the ", weight.sizes(), " of the weight");
  if (!at::GradMode::is_enabled()) {
    return std::get<0>(rms_norm(x.contiguous(), weight.contiguous(), eps_, zero_centered_));
  }
  return RmsNormFunction::apply(x.contiguous(), weight.contiguous(), eps_, zero_centered_);
}

TORCH_LIBRARY_FRAGMENT(longspan, library) {
  library.def(
      "rms_norm(Tensor x, Tensor weight, float eps, bool zero_centered)"
      " -> (Tensor y, Tensor inverse_rms)");
  library.def(
      "rms_norm_backward(Tensor grad, Tensor x, Tensor weight, Tensor inverse_rms,"
      " bool zero_centered, bool wants_weight) -> (Tensor grad_x, Tensor grad_weight)");
}

TORCH_LIBRARY_IMPL(longspan, CPU, library) {
  library.impl("rms_norm",
               [](const at::Tensor& x, const at::Tensor& weight, double eps, bool zero_centered) {
                 const auto* kernels = kernels_for(x, weight);
                 return kernels ? kernel_forward(*kernels, x, weight, eps, zero_centered)
                                : plain_forward(x, weight, eps, zero_centered);
               });
  library.impl("rms_norm_backward", [](const at::Tensor& grad, const at::Tensor& x,
                                       const at::Tensor& weight, const at::Tensor& inverse_rms,
                                       bool zero_centered, bool wants_weight) {
    const auto* kernels = kernels_for(x, weight);
    return kernels ? kernel_backward(*kernels, grad, x, weight, inverse_rms, zero_centered,
                                     wants_weight)
                   : plain_backward(grad, x, weight, inverse_rms, zero_centered, wants_weight);
  });
}

}  // namespace longspan
