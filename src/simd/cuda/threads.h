#pragma once

#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>

// What the kernels of the CUDA plugin share. Arithmetic is in opmath_type: float32, or float64 for
// float64, so that the same kernels can be checked against finite differences. Included by
// launch.h, after CUDA's headers or, in a test, those that stand for them.

namespace longspan::cuda {

constexpr int kThreads = 256;

/// Blocks of a grid-stride loop over `count` elements.
inline unsigned blocks_for(int64_t count) {
  constexpr int64_t kMostBlocks = 1 << 16;
  return static_cast<unsigned>(std::min((count + kThreads - 1) / kThreads, kMostBlocks));
}

/// The first element of this thread in a grid-stride loop, and the step.
__device__ inline int64_t first_element() { return int64_t{blockIdx.x} * blockDim.x + threadIdx.x; }
__device__ inline int64_t element_step() { return int64_t{gridDim.x} * blockDim.x; }

/// Elements next to each other, which one thread loads and stores at once.
template <class T, int kCount>
struct alignas(sizeof(T) * kCount) Pack {
  T values[kCount];
};
/// How many of them 16 bytes are, the widest access that there is.
template <class T>
constexpr int kWidest = 16 / sizeof(T);

template <class T, int kCount>
__device__ Pack<T, kCount> load(const T* from, int64_t pack) {
  return reinterpret_cast<const Pack<T, kCount>*>(from)[pack];
}
template <class T, int kCount>
__device__ void store(T* to, int64_t pack, const Pack<T, kCount>& values) {
  reinterpret_cast<Pack<T, kCount>*>(to)[pack] = values;
}

/// Whether all these lie where packs of 16 bytes begin.
template <class... Pointer>
bool on_16_bytes(Pointer... pointers) {
  return ((reinterpret_cast<uintptr_t>(pointers) % 16 == 0) && ...);
}

}  // namespace longspan::cuda

/// Runs the body with scalar_t as the C++ type of a tensor's dtype.
#define LONGSPAN_DISPATCH(DTYPE, NAME, ...) \
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, DTYPE, NAME, __VA_ARGS__)
