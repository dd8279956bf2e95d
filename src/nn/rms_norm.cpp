#include "src/nn/rms_norm.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/rms_norm.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include "src/attention/kernels/bf16_tensor.h"
#include "src/nn/kernels/elementwise_bf16.h"

namespace longspan {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kGrainRows = 32;

class Bf16RmsNorm : public torch::autograd::Function<Bf16RmsNorm> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            double eps) {
    const int64_t size = x.size(-1), rows = x.numel() / size;
    at::Tensor y = at::empty_like(x),
               inverse_rms = at::empty({rows}, x.options().dtype(at::kFloat));
    at::parallel_for(0, rows, kGrainRows, [&](int64_t begin, int64_t end) {
      bf16::rms_norm_forward(bf16_data(x) + begin * size, bf16_data(weight), end - begin, size,
                             static_cast<float>(eps), mutable_bf16_data(y) + begin * size,
                             inverse_rms.mutable_data_ptr<float>() + begin);
    });
    context->save_for_backward({x, weight, inverse_rms});
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &inverse_rms = saved[2];
    const at::Tensor grad = gradients[0].contiguous();
    const int64_t size = x.size(-1), rows = x.numel() / size;
    at::Tensor grad_x = at::empty_like(x);
    at::Tensor grad_weight;  // a share of each thread, summed in their order
    if (context->needs_input_grad(1)) {
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
    return {grad_x, grad_weight, at::Tensor()};
  }
};

}  // namespace

at::Tensor RmsNorm::forward(const at::Tensor& x) const {
  if (zero_centered_) {
    // Gemma rounds once, after the weight; 1 + weight would lose bits in bfloat16.
    return at::rms_norm(x.to(at::kFloat), weight.sizes(), weight.to(at::kFloat) + 1, eps_)
        .to(x.scalar_type());
  }
  if (!runs_bf16_kernels(x) || !runs_bf16_kernels(weight) || x.numel() == 0) {
    return at::rms_norm(x, weight.sizes(), weight, eps_);
  }
  return Bf16RmsNorm::apply(x.contiguous(), weight.contiguous(), eps_);
}

}  // namespace longspan
