#include "src/nn/swiglu.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>
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
  at::Tensor out = at::empty_like(gate);
  if (!runs_bf16_kernels(gate)) {
    const at::Tensor g = gate.view(-1), u = up.view(-1), to = out.view(-1);
    for_each_row_block(gate.numel(), 1, [&](int64_t first, int64_t count, int64_t) {
      const auto part = [&](const at::Tensor& x) { return x.narrow(0, first, count); };
      at::Tensor product = part(to);
      at::mul_out(product, at::silu(exact(part(g))), exact(part(u)));
    });
    return out;
  }
  at::parallel_for(0, gate.numel(), kGrain, [&](int64_t begin, int64_t end) {
    bf16::swiglu_forward(bf16_data(gate) + begin, bf16_data(up) + begin, end - begin,
                         mutable_bf16_data(out) + begin);
  });
  return out;
}

std::tuple<at::Tensor, at::Tensor> cpu_backward(const at::Tensor& grad, const at::Tensor& gate,
                                                const at::Tensor& up) {
  at::Tensor grad_gate = at::empty_like(grad), grad_up = at::empty_like(grad);
  if (!runs_bf16_kernels(gate)) {
    const at::Tensor d = grad.view(-1), g = gate.view(-1), u = up.view(-1);
    const at::Tensor to_gate = grad_gate.view(-1), to_up = grad_up.view(-1);
    for_each_row_block(grad.numel(), 1, [&](int64_t first, int64_t count, int64_t) {
      const auto part = [&](const at::Tensor& x) { return x.narrow(0, first, count); };
      const at::Tensor exact_grad = exact(part(d)), exact_gate = exact(part(g));
      part(to_gate).copy_(at::silu_backward(exact_grad * exact(part(u)), exact_gate));
      at::Tensor up_part = part(to_up);
      at::mul_out(up_part, exact_grad, at::silu(exact_gate));
    });
    return {grad_gate, grad_up};
  }
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
