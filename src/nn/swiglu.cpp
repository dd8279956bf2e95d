#include "src/nn/swiglu.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <tuple>

#include "src/nn/kernels/elementwise.h"
#include "src/simd/operators.h"

namespace longspan {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// All are contiguous, of one shape and dtype.
using SwigluForward = at::Tensor(const at::Tensor& gate, const at::Tensor& up);
using SwigluBackward = std::tuple<at::Tensor, at::Tensor>(const at::Tensor& grad,
                                                          const at::Tensor& gate,
                                                          const at::Tensor& up);

constexpr int64_t kGrain = 1 << 15;

class SwiGlu : public torch::autograd::Function<SwiGlu> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate,
                            const at::Tensor& up) {
    static const auto op = find_operator<SwigluForward>("longspan::swiglu");
    context->save_for_backward({gate, up});
    return op.call(gate, up);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    static const auto op = find_operator<SwigluBackward>("longspan::swiglu_backward");
    const variable_list saved = context->get_saved_variables();
    auto [grad_gate, grad_up] = op.call(gradients[0].contiguous(), saved[0], saved[1]);
    return {grad_gate, grad_up};
  }
};

at::Tensor cpu_forward(const at::Tensor& gate, const at::Tensor& up) {
  const auto* kernels = elementwise::kernels_for(gate);
  if (kernels == nullptr) return (at::silu(exact(gate)) * exact(up)).to(gate.scalar_type());
  at::Tensor out = at::empty_like(gate);
  at::parallel_for(0, gate.numel(), kGrain, [&](int64_t begin, int64_t end) {
    kernels->swiglu_forward(gate.const_data_ptr(), up.const_data_ptr(), begin, end,
                            out.mutable_data_ptr());
  });
  return out;
}

std::tuple<at::Tensor, at::Tensor> cpu_backward(const at::Tensor& grad, const at::Tensor& gate,
                                                const at::Tensor& up) {
  const auto* kernels = elementwise::kernels_for(gate);
  if (kernels == nullptr) {
    const at::Tensor exact_grad = exact(grad), exact_gate = exact(gate);
    return {at::silu_backward(exact_grad * exact(up), exact_gate).to(gate.scalar_type()),
            (exact_grad * at::silu(exact_gate)).to(gate.scalar_type())};
  }
  at::Tensor grad_gate = at::empty_like(grad), grad_up = at::empty_like(grad);
  at::parallel_for(0, gate.numel(), kGrain, [&](int64_t begin, int64_t end) {
    kernels->swiglu_backward(grad.const_data_ptr(), gate.const_data_ptr(), up.const_data_ptr(),
                             begin, end, grad_gate.mutable_data_ptr(), grad_up.mutable_data_ptr());
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
