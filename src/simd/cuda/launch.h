#pragma once

#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>
#include <ATen/core/Tensor.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>

// What the kernels of the CUDA plugin share. Arithmetic is in opmath_type: float32, or float64 for
// float64, so that the same kernels can be checked against finite differences.

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

}  // namespace longspan::cuda

/// Runs the body with scalar_t as the C++ type of a tensor's dtype.
#define LONGSPAN_DISPATCH(DTYPE, NAME, ...) \
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, DTYPE, NAME, __VA_ARGS__)
