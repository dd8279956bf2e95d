#include "src/nn/swiglu.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <tuple>

#include "src/attention/kernels/bf16_tensor.h"
#include "src/attention/kernels/operators.h"
#include "src/nn/kernels/elementwise_bf16.h"

namespace longspan {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// All are contiguous, of one shape and dtype.
using Forward = at::Tensor(const at::Tensor& gate, const at::Tensor& up);
using Backward = std::tuple<at::Tensor, at::Tensor>(const at::Tensor& grad, const at::Tensor& gate,
                                                    const at::Tensor& up);

constexpr int64_t kGrain = 1 << 15;

class SwiGlu : public torch::autograd::Function<SwiGlu> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate,
                            const at::Tensor& up) {
    static const auto op = find_operator<Forward>("longspan::swiglu");
    context->save_for_backward({gate, up});
    return op.call(gate, up);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    static const auto op = find_operator<Backward>("longspan::swiglu_backward");
    const variable_list saved = context->get_saved_variables();
    auto [grad_gate, grad_up] = op.call(gradients[0].contiguous(), saved[0], saved[1]);
    return {grad_gate, grad_up};
  }
};

at::Tensor cpu_forward(const at::Tensor& gate, const at::Tensor& up) {
  if (!runs_bf16_kernels(gate)) {
    return (at::silu(exact(gate)) * exact(up)).to(gate.scalar_type());
  }
  at::Tensor out = at::empty_like(gate);
  at::parallel_for(0, gate.numel(), kGrain, [&](int64_t begin, int64_t end) {
    bf16::swiglu_forward(bf16_data(gate) + begin, bf16_data(up) + begin, end - begin,
                         mutable_bf16_data(out) + begin);
  });
  return out;
}

std::tuple<at::Tensor, at::Tensor> cpu_backward(const at::Tensor& grad, const at::Tensor& gate,
                                                const at::Tensor& up) {
  if (!runs_bf16_kernels(gate)) {
    const at::Tensor exact_grad = exact(grad), exact_gate = exact(gate);
    return {at::silu_backward(exact_grad * exact(up), exact_gate).to(gate.scalar_type()),
            (exact_grad * at::silu(exact_gate)).to(up.scalar_type())};
  }
  at::Tensor grad_gate = at::empty_like(grad), grad_up = at::empty_like(grad);
  at::parallel_for(0, grad.numel(), kGrain, [&](int64_t begin, int64_t end) {
    bf16::swiglu_backward(bf16_data(grad) + begin, bf16_data(gate) + begin, bf16_data(up) + begin,
                          end - begin, mutable_bf16_data(grad_gate) + begin,
                          mutable_bf16_data(grad_up) + begin);
  });
  return {grad_gate, grad_up};
}

}  // namespace

at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up) {
  TORCH_CHECK(gate.sizes() == up.sizes() && gate.scalar_type() == up.scalar_type(), "swiglu: gate ",
              gate.scalar_type(), " ", gate.sizes(), " and up ", up.scalar_type(), " ", up.sizes(),
              " differ");
  return SwiGlu::apply(gate.contiguous(), up.contiguous());
}

TORCH_LIBRARY_FRAGMENT(longspan, library) {
  library.def("swiglu(Tensor gate, Tensor up) -> Tensor");
  library.def(
      "swiglu_backward(Tensor grad, Tensor gate, Tensor up)"
      " -> (Tensor grad_gate, Tensor grad_up)");
}

TORCH_LIBRARY_IMPL(longspan, CPU, library) {
  library.impl("swiglu", cpu_forward);
  library.impl("swiglu_backward", cpu_backward);
}

}  // namespace longspan
