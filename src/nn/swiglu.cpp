#include "src/nn/swiglu.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/silu.h>
#include <torch/csrc/autograd/custom_function.h>

#include "src/attention/kernels/bf16_tensor.h"
#include "src/nn/kernels/elementwise_bf16.h"

namespace longspan {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kGrain = 1 << 15;

class SwiGlu : public torch::autograd::Function<SwiGlu> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate,
                            const at::Tensor& up) {
    at::Tensor out = at::empty_like(gate);
    at::parallel_for(0, gate.numel(), kGrain, [&](int64_t begin, int64_t end) {
      bf16::swiglu_forward(bf16_data(gate) + begin, bf16_data(up) + begin, end - begin,
                           mutable_bf16_data(out) + begin);
    });
    context->save_for_backward({gate, up});
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor grad = gradients[0].contiguous();
    at::Tensor grad_gate = at::empty_like(grad), grad_up = at::empty_like(grad);
    at::parallel_for(0, grad.numel(), kGrain, [&](int64_t begin, int64_t end) {
      bf16::swiglu_backward(
          bf16_data(grad) + begin, bf16_data(saved[0]) + begin, bf16_data(saved[1]) + begin,
          end - begin, mutable_bf16_data(grad_gate) + begin, mutable_bf16_data(grad_up) + begin);
    });
    return {grad_gate, grad_up};
  }
};

}  // namespace

at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up) {
  if (!runs_bf16_kernels(gate) || up.sizes() != gate.sizes()) return at::silu(gate) * up;
  return SwiGlu::apply(gate.contiguous(), up.contiguous());
}

}  // namespace longspan
