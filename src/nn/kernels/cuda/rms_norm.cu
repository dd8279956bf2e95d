#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/sum.h>
#include <torch/library.h>

#include <tuple>

#include "src/simd/cuda/launch.h"

namespace longspan::cuda {
namespace {

constexpr int kWarp = 32;
constexpr int64_t kMostShares = 64;  // of the rows, in the sum of the weight's gradient

/// The sum over the block, for each of its threads. kThreads threads, all of which call it.
template <class Math>
__device__ Math block_sum(Math value) {
  __shared__ Math of_warp[kThreads / kWarp];
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(0xffffffff, value, offset);
  }
  __syncthreads();  // the sum before this one has been read
  if (threadIdx.x % kWarp == 0) of_warp[threadIdx.x / kWarp] = value;
  __syncthreads();
  Math sum = 0;
  for (Math part : of_warp) sum += part;
  return sum;
}

template <class T>
__device__ at::opmath_type<T> scale_of(const T* weight, int64_t i, bool zero_centered) {
  const at::opmath_type<T> scale = weight[i];
  return zero_centered ? scale + 1 : scale;
}

/// A block takes row after row.
template <class T, class Math = at::opmath_type<T>>
__global__ void forward_kernel(const T* x, const T* weight, int64_t rows, int64_t size, Math eps,
                               bool zero_centered, T* y, Math* inverse_rms) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const T* from = x + row * size;
    Math squares = 0;
    for (int64_t i = threadIdx.x; i < size; i += kThreads) {
      const Math value = from[i];
      squares += value * value;
    }
    const Math inverse = Math{1} / sqrt(block_sum(squares) / static_cast<Math>(size) + eps);
    if (threadIdx.x == 0) inverse_rms[row] = inverse;
    for (int64_t i = threadIdx.x; i < size; i += kThreads) {
      const Math normed = static_cast<Math>(from[i]) * inverse;
      y[row * size + i] = static_cast<T>(normed * scale_of(weight, i, zero_centered));
    }
  }
}

/// grad_x = inverse (grad scale - x inverse^2 mean(grad scale x)), row after row.
template <class T, class Math = at::opmath_type<T>>
__global__ void grad_x_kernel(const T* grad, const T* x, const T* weight, const Math* inverse_rms,
                              int64_t rows, int64_t size, bool zero_centered, T* grad_x) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const T *row_grad = grad + row * size, *row_x = x + row * size;
    const auto grad_normed = [&](int64_t i) {
      return static_cast<Math>(row_grad[i]) * scale_of(weight, i, zero_centered);
    };
    Math products = 0;
    for (int64_t i = threadIdx.x; i < size; i += kThreads) {
      products += grad_normed(i) * static_cast<Math>(row_x[i]);
    }
    const Math inverse = inverse_rms[row];
    const Math along = block_sum(products) / static_cast<Math>(size) * inverse * inverse;
    for (int64_t i = threadIdx.x; i < size; i += kThreads) {
      const Math across = grad_normed(i) - static_cast<Math>(row_x[i]) * along;
      grad_x[row * size + i] = static_cast<T>(across * inverse);
    }
  }
}

/// shares[s][i] = sum of grad x inverse over the rows s, s + S, ...: a fixed order, so that the
/// gradient has the same bits every time. A thread takes one column of one share.
template <class T, class Math = at::opmath_type<T>>
__global__ void grad_weight_kernel(const T* grad, const T* x, const Math* inverse_rms, int64_t rows,
                                   int64_t size, Math* shares) {
  for (int64_t i = first_element(); i < size; i += element_step()) {
    Math sum = 0;
    for (int64_t row = blockIdx.y; row < rows; row += gridDim.y) {
      const int64_t at = row * size + i;
      sum += static_cast<Math>(grad[at]) * static_cast<Math>(x[at]) * inverse_rms[row];
    }
    shares[blockIdx.y * size + i] = sum;
  }
}

unsigned row_blocks(int64_t rows) { return blocks_for(rows * kThreads); }

void check_dtypes(const at::Tensor& x, const at::Tensor& weight) {
  TORCH_CHECK(weight.scalar_type() == x.scalar_type(), "rms_norm: a weight in ",
              weight.scalar_type(), " for x in ", x.scalar_type());
}

std::tuple<at::Tensor, at::Tensor> forward(const at::Tensor& x, const at::Tensor& weight,
                                           double eps, bool zero_centered) {
  check_dtypes(x, weight);
  const c10::cuda::CUDAGuard guard(x.device());
  const int64_t size = x.size(-1), rows = x.numel() / size;
  const auto exact_dtype = at::toOpMathType(x.scalar_type());
  at::Tensor y = at::empty_like(x), inverse_rms = at::empty({rows}, x.options().dtype(exact_dtype));
  if (rows == 0) return {y, inverse_rms};
  LONGSPAN_DISPATCH(x.scalar_type(), "rms_norm", [&] {
    using Math = at::opmath_type<scalar_t>;
    forward_kernel<<<row_blocks(rows), kThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(
        x.const_data_ptr<scalar_t>(), weight.const_data_ptr<scalar_t>(), rows, size,
        static_cast<Math>(eps), zero_centered, y.mutable_data_ptr<scalar_t>(),
        inverse_rms.mutable_data_ptr<Math>());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return {y, inverse_rms};
}

/// [size], in the dtype of inverse_rms.
at::Tensor grad_weight_of(const at::Tensor& grad, const at::Tensor& x,
                          const at::Tensor& inverse_rms) {
  const int64_t size = x.size(-1), rows = inverse_rms.numel();
  const int64_t count = std::clamp<int64_t>(rows, 1, kMostShares);
  at::Tensor shares = at::empty({count, size}, inverse_rms.options());
  LONGSPAN_DISPATCH(x.scalar_type(), "rms_norm_backward", [&] {
    using Math = at::opmath_type<scalar_t>;
    const dim3 blocks(blocks_for(size), static_cast<unsigned>(count));
    grad_weight_kernel<<<blocks, kThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(
        grad.const_data_ptr<scalar_t>(), x.const_data_ptr<scalar_t>(),
        inverse_rms.const_data_ptr<Math>(), rows, size, shares.mutable_data_ptr<Math>());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return shares.sum(0);
}

std::tuple<at::Tensor, at::Tensor> backward(const at::Tensor& grad, const at::Tensor& x,
                                            const at::Tensor& weight, const at::Tensor& inverse_rms,
                                            bool zero_centered, bool wants_weight) {
  check_dtypes(x, weight);
  const c10::cuda::CUDAGuard guard(x.device());
  const int64_t size = x.size(-1), rows = inverse_rms.numel();
  at::Tensor grad_x = at::empty_like(x), grad_weight;
  if (wants_weight) grad_weight = grad_weight_of(grad, x, inverse_rms).to(weight.scalar_type());
  if (rows == 0) return {grad_x, grad_weight};
  LONGSPAN_DISPATCH(x.scalar_type(), "rms_norm_backward", [&] {
    using Math = at::opmath_type<scalar_t>;
    grad_x_kernel<<<row_blocks(rows), kThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(
        grad.const_data_ptr<scalar_t>(), x.const_data_ptr<scalar_t>(),
        weight.const_data_ptr<scalar_t>(), inverse_rms.const_data_ptr<Math>(), rows, size,
        zero_centered, grad_x.mutable_data_ptr<scalar_t>());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return {grad_x, grad_weight};
}

}  // namespace

TORCH_LIBRARY_IMPL(longspan, CUDA, library) {
  library.impl("rms_norm", forward);
  library.impl("rms_norm_backward", backward);
}

}  // namespace longspan::cuda
