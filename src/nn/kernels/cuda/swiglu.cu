#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <tuple>

#include "src/simd/cuda/launch.h"

namespace longspan::cuda {
namespace {

template <class T>
__device__ T sigmoid(T x) {
  return T{1} / (T{1} + exp(-x));
}

template <class T>
__global__ void forward_kernel(const T* gate, const T* up, int64_t count, T* out) {
  using Math = at::opmath_type<T>;
  for (int64_t i = first_element(); i < count; i += element_step()) {
    const Math g = gate[i];
    out[i] = static_cast<T>(g * sigmoid(g) * static_cast<Math>(up[i]));
  }
}

template <class T>
__global__ void backward_kernel(const T* grad, const T* gate, const T* up, int64_t count,
                                T* grad_gate, T* grad_up) {
  using Math = at::opmath_type<T>;
  for (int64_t i = first_element(); i < count; i += element_step()) {
    const Math d = grad[i], g = gate[i], u = up[i], s = sigmoid(g), silu = g * s;
    // silu'(g) = s (1 + g (1 - s)) = s + silu(g) (1 - s)
    grad_gate[i] = static_cast<T>(d * u * (s + silu * (Math{1} - s)));
    grad_up[i] = static_cast<T>(d * silu);
  }
}

at::Tensor forward(const at::Tensor& gate, const at::Tensor& up) {
  const c10::cuda::CUDAGuard guard(gate.device());
  at::Tensor out = at::empty_like(gate);
  if (gate.numel() == 0) return out;
  LONGSPAN_DISPATCH(gate.scalar_type(), "swiglu", [&] {
    forward_kernel<<<blocks_for(gate.numel()), kThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(
        gate.const_data_ptr<scalar_t>(), up.const_data_ptr<scalar_t>(), gate.numel(),
        out.mutable_data_ptr<scalar_t>());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return out;
}

std::tuple<at::Tensor, at::Tensor> backward(const at::Tensor& grad, const at::Tensor& gate,
                                            const at::Tensor& up) {
  const c10::cuda::CUDAGuard guard(gate.device());
  at::Tensor grad_gate = at::empty_like(gate), grad_up = at::empty_like(up);
  if (gate.numel() == 0) return {grad_gate, grad_up};
  LONGSPAN_DISPATCH(gate.scalar_type(), "swiglu_backward", [&] {
    backward_kernel<<<blocks_for(gate.numel()), kThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(
        grad.const_data_ptr<scalar_t>(), gate.const_data_ptr<scalar_t>(),
        up.const_data_ptr<scalar_t>(), gate.numel(), grad_gate.mutable_data_ptr<scalar_t>(),
        grad_up.mutable_data_ptr<scalar_t>());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return {grad_gate, grad_up};
}

}  // namespace

TORCH_LIBRARY_IMPL(longspan, CUDA, library) {
  library.impl("swiglu", forward);
  library.impl("swiglu_backward", backward);
}

}  // namespace longspan::cuda
