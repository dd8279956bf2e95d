#include "src/nn/rms_norm.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <tuple>

#include "src/attention/kernels/bf16_tensor.h"
#include "src/attention/kernels/operators.h"
#include "src/nn/kernels/elementwise_bf16.h"
#include "src/nn/row_blocks.h"

namespace longspan {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// x and grad [.., size] and weight [size] are contiguous; inverse_rms [rows] is in float32, or
// float64 when x is; grad_weight is undefined unless wants_weight.
using Forward = std::tuple<at::Tensor, at::Tensor>(const at::Tensor& x, const at::Tensor& weight,
                                                   double eps, bool zero_centered);
using Backward = std::tuple<at::Tensor, at::Tensor>(const at::Tensor& grad, const at::Tensor& x,
                                                    const at::Tensor& weight,
                                                    const at::Tensor& inverse_rms,
                                                    bool zero_centered, bool wants_weight);

constexpr int64_t kGrainRows = 32;

class RmsNormFunction : public torch::autograd::Function<RmsNormFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            double eps, bool zero_centered) {
    static const auto op = find_operator<Forward>("longspan::rms_norm");
    auto [y, inverse_rms] = op.call(x, weight, eps, zero_centered);
    context->save_for_backward({x, weight, inverse_rms});
    context->saved_data["zero_centered"] = zero_centered;
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    static const auto op = find_operator<Backward>("longspan::rms_norm_backward");
    const variable_list saved = context->get_saved_variables();
    auto [grad_x, grad_weight] =
        op.call(gradients[0].contiguous(), saved[0], saved[1], saved[2],
                context->saved_data["zero_centered"].toBool(), context->needs_input_grad(1));
    return {grad_x, grad_weight, at::Tensor(), at::Tensor()};
  }
};

std::tuple<at::Tensor, at::Tensor> bf16_forward(const at::Tensor& x, const at::Tensor& weight,
                                                double eps) {
  const int64_t size = x.size(-1), rows = x.numel() / size;
  at::Tensor y = at::empty_like(x), inverse_rms = at::empty({rows}, x.options().dtype(at::kFloat));
  at::parallel_for(0, rows, kGrainRows, [&](int64_t begin, int64_t end) {
    bf16::rms_norm_forward(bf16_data(x) + begin * size, bf16_data(weight), end - begin, size,
                           static_cast<float>(eps), mutable_bf16_data(y) + begin * size,
                           inverse_rms.mutable_data_ptr<float>() + begin);
  });
  return {y, inverse_rms};
}

std::tuple<at::Tensor, at::Tensor> bf16_backward(const at::Tensor& grad, const at::Tensor& x,
                                                 const at::Tensor& weight,
                                                 const at::Tensor& inverse_rms, bool wants_weight) {
  const int64_t size = x.size(-1), rows = x.numel() / size;
  at::Tensor grad_x = at::empty_like(x);
  at::Tensor grad_weight;  // a share of each thread, summed in their order
  if (wants_weight) {
    grad_weight = at::zeros({at::get_num_threads(), size}, x.options().dtype(at::kFloat));
  }
  at::parallel_for(0, rows, kGrainRows, [&](int64_t begin, int64_t end) {
    float* share = grad_weight.defined()
                       ? grad_weight.mutable_data_ptr<float>() + at::get_thread_num() * size
                       : nullptr;
    bf16::rms_norm_backward(bf16_data(grad) + begin * size, bf16_data(x) + begin * size,
                            bf16_data(weight), inverse_rms.const_data_ptr<float>() + begin,
                            end - begin, size, mutable_bf16_data(grad_x) + begin * size, share);
  });
  if (grad_weight.defined()) grad_weight = grad_weight.sum(0).to(weight.scalar_type());
  return {grad_x, grad_weight};
}

/// 1 + weight would lose bits in bfloat16.
at::Tensor scale_of(const at::Tensor& weight, bool zero_centered) {
  return zero_centered ? exact(weight) + 1 : exact(weight);
}

std::tuple<at::Tensor, at::Tensor> plain_forward(const at::Tensor& x, const at::Tensor& weight,
                                                 double eps, bool zero_centered) {
  const int64_t size = x.size(-1), rows = x.numel() / size;
  const at::Tensor from = x.view({rows, size}), scale = scale_of(weight, zero_centered);
  at::Tensor y = at::empty_like(x), inverse_rms = at::empty({rows, 1}, scale.options());
  const at::Tensor to = y.view({rows, size});
  for_each_row_block(rows, size, [&](int64_t first, int64_t count, int64_t) {
    const at::Tensor value = exact(from.narrow(0, first, count));
    const at::Tensor inverse = inverse_rms.narrow(0, first, count);
    inverse.copy_((value.square().mean({-1}, /*keepdim=*/true) + eps).rsqrt());
    at::Tensor normed = to.narrow(0, first, count);
    at::mul_out(normed, value * inverse, scale);
  });
  return {y, inverse_rms.squeeze(1)};
}

std::tuple<at::Tensor, at::Tensor> plain_backward(const at::Tensor& grad, const at::Tensor& x,
                                                  const at::Tensor& weight,
                                                  const at::Tensor& inverse_rms, bool zero_centered,
                                                  bool wants_weight) {
  const int64_t size = x.size(-1), rows = x.numel() / size;
  const int64_t blocks = (rows + rows_of_block(size) - 1) / rows_of_block(size);
  const at::Tensor from = x.view({rows, size}), grad_rows = grad.view({rows, size});
  const at::Tensor scale = scale_of(weight, zero_centered);
  at::Tensor grad_x = at::empty_like(x);
  const at::Tensor to = grad_x.view({rows, size});
  at::Tensor shares;  // of each block in the weight's gradient
  if (wants_weight) shares = at::empty({blocks, size}, scale.options());
  for_each_row_block(rows, size, [&](int64_t first, int64_t count, int64_t block) {
    const at::Tensor inverse = inverse_rms.narrow(0, first, count).unsqueeze(1);
    const at::Tensor exact_grad = exact(grad_rows.narrow(0, first, count));
    const at::Tensor normed = exact(from.narrow(0, first, count)) * inverse;
    const at::Tensor grad_normed = exact_grad * scale;
    const at::Tensor along = (grad_normed * normed).mean({-1}, /*keepdim=*/true);
    at::Tensor grad_rows_x = to.narrow(0, first, count);
    at::mul_out(grad_rows_x, grad_normed - normed * along, inverse);
    if (shares.defined()) shares[block].copy_((exact_grad * normed).sum(0));
  });
  return {grad_x, shares.defined() ? shares.sum(0).to(weight.scalar_type()) : shares};
}

}  // namespace

at::Tensor RmsNorm::forward(const at::Tensor& x) const {
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
  library.impl("rms_norm", [](const at::Tensor& x, const at::Tensor& weight, double eps,
                              bool zero_centered) {
    const bool vectorised = runs_bf16_kernels(x) && runs_bf16_kernels(weight) && !zero_centered;
    return vectorised ? bf16_forward(x, weight, eps) : plain_forward(x, weight, eps, zero_centered);
  });
  library.impl("rms_norm_backward", [](const at::Tensor& grad, const at::Tensor& x,
                                       const at::Tensor& weight, const at::Tensor& inverse_rms,
                                       bool zero_centered, bool wants_weight) {
    const bool vectorised = runs_bf16_kernels(x) && runs_bf16_kernels(weight) && !zero_centered;
    return vectorised ? bf16_backward(grad, x, weight, inverse_rms, wants_weight)
                      : plain_backward(grad, x, weight, inverse_rms, zero_centered, wants_weight);
  });
}

}  // namespace longspan
