#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <tuple>

#include "src/simd/cuda/launch.h"

namespace longspan::cuda {
namespace {

template <class Math>
__device__ Math sigmoid(Math x) {
  return Math{1} / (Math{1} + exp(-x));
}

template <class T, class Math = at::opmath_type<T>>
__device__ T swiglu_of(T gate, T up) {
  const Math g = gate;
  return static_cast<T>(g * sigmoid(g) * static_cast<Math>(up));
}

template <class T, class Math = at::opmath_type<T>>
__device__ void swiglu_gradients(T grad, T gate, T up, T& grad_gate, T& grad_up) {
  const Math d = grad, g = gate, u = up, s = sigmoid(g), silu = g * s;
  // silu'(g) = s (1 + g (1 - s)) = s + silu(g) (1 - s)
  grad_gate = static_cast<T>(d * u * (s + silu * (Math{1} - s)));
  grad_up = static_cast<T>(d * silu);
}

/// The first `packs` packs of 16 bytes, and the elements behind them one by one.
template <class T>
__global__ void forward_kernel(const T* gate, const T* up, int64_t packs, int64_t count, T* out) {
  constexpr int kWide = kWidest<T>;
  for (int64_t i = first_element(); i < packs; i += element_step()) {
    const auto g = load<T, kWide>(gate, i), u = load<T, kWide>(up, i);
    Pack<T, kWide> y;
#pragma unroll
    for (int j = 0; j < kWide; ++j) y.values[j] = swiglu_of(g.values[j], u.values[j]);
    store(out, i, y);
  }
  for (int64_t i = packs * kWide + first_element(); i < count; i += element_step()) {
    out[i] = swiglu_of(gate[i], up[i]);
  }
}

template <class T>
__global__ void backward_kernel(const T* grad, const T* gate, const T* up, int64_t packs,
                                int64_t count, T* grad_gate, T* grad_up) {
  constexpr int kWide = kWidest<T>;
  for (int64_t i = first_element(); i < packs; i += element_step()) {
    const auto d = load<T, kWide>(grad, i), g = load<T, kWide>(gate, i), u = load<T, kWide>(up, i);
    Pack<T, kWide> of_gate, of_up;
#pragma unroll
    for (int j = 0; j < kWide; ++j) {
      swiglu_gradients(d.values[j], g.values[j], u.values[j], of_gate.values[j], of_up.values[j]);
    }
    store(grad_gate, i, of_gate);
    store(grad_up, i, of_up);
  }
  for (int64_t i = packs * kWide + first_element(); i < count; i += element_step()) {
    swiglu_gradients(grad[i], gate[i], up[i], grad_gate[i], grad_up[i]);
  }
}

/// How many packs of 16 bytes `count` elements are, where all arrays lie on such.
template <class T, class... Pointer>
int64_t packs_of(int64_t count, Pointer... pointers) {
  return on_16_bytes(pointers...) ? count / kWidest<T> : 0;
}

at::Tensor forward(const at::Tensor& gate, const at::Tensor& up) {
  const c10::cuda::CUDAGuard guard(gate.device());
  at::Tensor out = at::empty_like(gate);
  const int64_t count = gate.numel();
  if (count == 0) return out;
  LONGSPAN_DISPATCH(gate.scalar_type(), "swiglu", [&] {
    const auto *g = gate.const_data_ptr<scalar_t>(), *u = up.const_data_ptr<scalar_t>();
    auto* y = out.mutable_data_ptr<scalar_t>();
    const int64_t packs = packs_of<scalar_t>(count, g, u, y);
    launch(forward_kernel<scalar_t>, blocks_for(packs > 0 ? packs : count), kThreads, g, u, packs,
           count, y);
  });
  return out;
}

std::tuple<at::Tensor, at::Tensor> backward(const at::Tensor& grad, const at::Tensor& gate,
                                            const at::Tensor& up) {
  const c10::cuda::CUDAGuard guard(gate.device());
  at::Tensor grad_gate = at::empty_like(gate), grad_up = at::empty_like(up);
  const int64_t count = gate.numel();
  if (count == 0) return {grad_gate, grad_up};
  LONGSPAN_DISPATCH(gate.scalar_type(), "swiglu_backward", [&] {
    const auto *d = grad.const_data_ptr<scalar_t>(), *g = gate.const_data_ptr<scalar_t>(),
               *u = up.const_data_ptr<scalar_t>();
    auto *of_gate = grad_gate.mutable_data_ptr<scalar_t>(),
         *of_up = grad_up.mutable_data_ptr<scalar_t>();
    const int64_t packs = packs_of<scalar_t>(count, d, g, u, of_gate, of_up);
    launch(backward_kernel<scalar_t>, blocks_for(packs > 0 ? packs : count), kThreads, d, g, u,
           packs, count, of_gate, of_up);
  });
  return {grad_gate, grad_up};
}

}  // namespace

TORCH_LIBRARY_IMPL(longspan, CUDA, library) {
  library.impl("swiglu", forward);
  library.impl("swiglu_backward", backward);
}

}  // namespace longspan::cuda
