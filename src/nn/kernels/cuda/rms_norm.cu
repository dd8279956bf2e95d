#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/sum.h>
#include <torch/library.h>

#include <tuple>
#include <type_traits>

#include "src/simd/cuda/launch.h"

namespace longspan::cuda {
namespace {

constexpr int kWarp = 32;
constexpr int64_t kWarpsSize = 2048;      // rows of at most so many elements are a warp's each
constexpr int64_t kFillingBlocks = 2048;  // of any GPU

template <class Math>
__device__ Math warp_sum(Math value) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(0xffffffff, value, offset);
  }
  return value;
}

/// The sum over the kGroup threads that have a row, for each of them: a warp's, or a block's of
/// kThreads, all of which call it.
template <int kGroup, class Math>
__device__ Math group_sum(Math value) {
  value = warp_sum(value);
  if constexpr (kGroup > kWarp) {
    __shared__ Math of_warp[kThreads / kWarp];
    __syncthreads();  // the sum before this one has been read
    if (threadIdx.x % kWarp == 0) of_warp[threadIdx.x / kWarp] = value;
    __syncthreads();
    value = 0;
    for (Math part : of_warp) value += part;
  }
  return value;
}

template <class T>
__device__ at::opmath_type<T> scale_of(T weight, bool zero_centered) {
  const at::opmath_type<T> scale = weight;
  return zero_centered ? scale + 1 : scale;
}

/// Of x [rows, size], in packs of kWide elements.
struct Rows {
  int64_t rows, size;
  bool zero_centered;
};

/// row(r) for each row of this group of kGroup threads, one after another.
template <int kGroup, class Row>
__device__ void for_each_row(const Rows& of, const Row& row) {
  constexpr int kGroups = kThreads / kGroup;
  const int64_t first = int64_t{blockIdx.x} * kGroups + threadIdx.x / kGroup;
  for (int64_t r = first; r < of.rows; r += int64_t{gridDim.x} * kGroups) row(r);
}

template <class T, int kWide, int kGroup, class Math = at::opmath_type<T>>
__global__ void forward_kernel(const T* x, const T* weight, Rows of, Math eps, T* y,
                               Math* inverse_rms) {
  const int lane = threadIdx.x % kGroup;
  const int64_t packs = of.size / kWide;
  for_each_row<kGroup>(of, [&](int64_t row) {
    const T* from = x + row * of.size;
    Math squares = 0;
    for (int64_t i = lane; i < packs; i += kGroup) {
      const auto pack = load<T, kWide>(from, i);
#pragma unroll
      for (int j = 0; j < kWide; ++j) {
        const Math value = pack.values[j];
        squares += value * value;
      }
    }
    const Math sum = group_sum<kGroup>(squares);
    const Math inverse = Math{1} / sqrt(sum / static_cast<Math>(of.size) + eps);
    if (lane == 0) inverse_rms[row] = inverse;
    for (int64_t i = lane; i < packs; i += kGroup) {
      const auto pack = load<T, kWide>(from, i), scales = load<T, kWide>(weight, i);
      Pack<T, kWide> to;
#pragma unroll
      for (int j = 0; j < kWide; ++j) {
        const Math normed = static_cast<Math>(pack.values[j]) * inverse;
        to.values[j] = static_cast<T>(normed * scale_of(scales.values[j], of.zero_centered));
      }
      store(y + row * of.size, i, to);
    }
  });
}

/// grad_x = inverse (grad scale - x inverse^2 mean(grad scale x)), row after row.
template <class T, int kWide, int kGroup, class Math = at::opmath_type<T>>
__global__ void grad_x_kernel(const T* grad, const T* x, const T* weight, const Math* inverse_rms,
                              Rows of, T* grad_x) {
  const int lane = threadIdx.x % kGroup;
  const int64_t packs = of.size / kWide;
  for_each_row<kGroup>(of, [&](int64_t row) {
    const T *row_grad = grad + row * of.size, *row_x = x + row * of.size;
    const auto grad_normed = [&](T d, T scale) {
      return static_cast<Math>(d) * scale_of(scale, of.zero_centered);
    };
    Math products = 0;
    for (int64_t i = lane; i < packs; i += kGroup) {
      const auto d = load<T, kWide>(row_grad, i), value = load<T, kWide>(row_x, i),
                 scale = load<T, kWide>(weight, i);
#pragma unroll
      for (int j = 0; j < kWide; ++j) {
        products += grad_normed(d.values[j], scale.values[j]) * static_cast<Math>(value.values[j]);
      }
    }
    const Math inverse = inverse_rms[row], sum = group_sum<kGroup>(products);
    const Math along = sum / static_cast<Math>(of.size) * inverse * inverse;
    for (int64_t i = lane; i < packs; i += kGroup) {
      const auto d = load<T, kWide>(row_grad, i), value = load<T, kWide>(row_x, i),
                 scale = load<T, kWide>(weight, i);
      Pack<T, kWide> to;
#pragma unroll
      for (int j = 0; j < kWide; ++j) {
        const Math across =
            grad_normed(d.values[j], scale.values[j]) - static_cast<Math>(value.values[j]) * along;
        to.values[j] = static_cast<T>(across * inverse);
      }
      store(grad_x + row * of.size, i, to);
    }
  });
}

/// shares[s][i] = sum of grad x inverse over every S-th set of blockDim.y rows: a fixed order, so
/// that the gradient has the same bits every time. A column of threads takes a pack of columns, a
/// row of threads every blockDim.y-th row.
template <class T, int kWide, class Math = at::opmath_type<T>>
__global__ void grad_weight_kernel(const T* grad, const T* x, const Math* inverse_rms, Rows of,
                                   Math* shares) {
  __shared__ Math of_rows[kThreads][kWide];
  const int64_t pack = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, packs = of.size / kWide;
  Math sums[kWide] = {};
  if (pack < packs) {
    const int64_t step = int64_t{gridDim.y} * blockDim.y;
    for (int64_t row = int64_t{blockIdx.y} * blockDim.y + threadIdx.y; row < of.rows; row += step) {
      const auto d = load<T, kWide>(grad, row * packs + pack),
                 value = load<T, kWide>(x, row * packs + pack);
      const Math inverse = inverse_rms[row];
#pragma unroll
      for (int j = 0; j < kWide; ++j) {
        sums[j] += static_cast<Math>(d.values[j]) * static_cast<Math>(value.values[j]) * inverse;
      }
    }
  }
  for (int j = 0; j < kWide; ++j) of_rows[threadIdx.y * blockDim.x + threadIdx.x][j] = sums[j];
  __syncthreads();
  if (threadIdx.y > 0 || pack >= packs) return;
  for (int j = 0; j < kWide; ++j) {
    Math sum = 0;
    for (unsigned y = 0; y < blockDim.y; ++y) sum += of_rows[y * blockDim.x + threadIdx.x][j];
    shares[blockIdx.y * of.size + pack * kWide + j] = sum;
  }
}

/// act(wide, group) with std::integral_constants: packs of 16 bytes where all rows are such, and
/// the threads of a row.
template <class T, class Act>
void with_packs(bool in_packs, const Rows& of, const Act& act) {
  const auto with_group = [&](auto wide) {
    if (of.size <= kWarpsSize) {
      act(wide, std::integral_constant<int, kWarp>());
    } else {
      act(wide, std::integral_constant<int, kThreads>());
    }
  };
  if (in_packs && of.size % kWidest<T> == 0) {
    with_group(std::integral_constant<int, kWidest<T>>());
  } else {
    with_group(std::integral_constant<int, 1>());
  }
}

unsigned row_blocks(int64_t rows, int group) { return blocks_for(rows * group); }

void check_dtypes(const at::Tensor& x, const at::Tensor& weight) {
  TORCH_CHECK(weight.scalar_type() == x.scalar_type(), "rms_norm: a weight in ",
              weight.scalar_type(), " for x in ", x.scalar_type());
}

std::tuple<at::Tensor, at::Tensor> forward(const at::Tensor& x, const at::Tensor& weight,
                                           double eps, bool zero_centered) {
  check_dtypes(x, weight);
  const c10::cuda::CUDAGuard guard(x.device());
  const Rows of{x.numel() / x.size(-1), x.size(-1), zero_centered};
  const auto exact_dtype = at::toOpMathType(x.scalar_type());
  at::Tensor y = at::empty_like(x);
  at::Tensor inverse_rms = at::empty({of.rows}, x.options().dtype(exact_dtype));
  if (of.rows == 0) return {y, inverse_rms};
  LONGSPAN_DISPATCH(x.scalar_type(), "rms_norm", [&] {
    using Math = at::opmath_type<scalar_t>;
    const auto *from = x.const_data_ptr<scalar_t>(), *scale = weight.const_data_ptr<scalar_t>();
    auto* to = y.mutable_data_ptr<scalar_t>();
    with_packs<scalar_t>(on_16_bytes(from, scale, to), of, [&](auto wide, auto group) {
      launch(forward_kernel<scalar_t, wide, group>, row_blocks(of.rows, group), kThreads, from,
             scale, of, static_cast<Math>(eps), to, inverse_rms.mutable_data_ptr<Math>());
    });
  });
  return {y, inverse_rms};
}

/// [size], in the dtype of inverse_rms.
at::Tensor grad_weight_of(const at::Tensor& grad, const at::Tensor& x,
                          const at::Tensor& inverse_rms) {
  const Rows of{inverse_rms.numel(), x.size(-1), false};
  at::Tensor shares;
  LONGSPAN_DISPATCH(x.scalar_type(), "rms_norm_backward", [&] {
    using Math = at::opmath_type<scalar_t>;
    const auto *d = grad.const_data_ptr<scalar_t>(), *from = x.const_data_ptr<scalar_t>();
    with_packs<scalar_t>(on_16_bytes(d, from), of, [&](auto wide, auto) {
      const int64_t packs = of.size / wide;
      unsigned columns = 1;
      while (columns < packs && columns < unsigned{kWarp}) columns *= 2;
      const dim3 block(columns, kThreads / columns);
      const int64_t across = (packs + columns - 1) / columns;
      const int64_t most = (of.rows + block.y - 1) / block.y;
      const int64_t down =
          std::clamp<int64_t>(kFillingBlocks / across, 1, std::max<int64_t>(1, most));
      shares = at::empty({down, of.size}, inverse_rms.options());
      launch(grad_weight_kernel<scalar_t, wide>,
             dim3(static_cast<unsigned>(across), static_cast<unsigned>(down)), block, d, from,
             inverse_rms.const_data_ptr<Math>(), of, shares.mutable_data_ptr<Math>());
    });
  });
  return shares.sum(0);
}

std::tuple<at::Tensor, at::Tensor> backward(const at::Tensor& grad, const at::Tensor& x,
                                            const at::Tensor& weight, const at::Tensor& inverse_rms,
                                            bool zero_centered, bool wants_weight) {
  check_dtypes(x, weight);
  const c10::cuda::CUDAGuard guard(x.device());
  const Rows of{inverse_rms.numel(), x.size(-1), zero_centered};
  at::Tensor grad_x = at::empty_like(x), grad_weight;
  if (wants_weight) grad_weight = grad_weight_of(grad, x, inverse_rms);
  if (of.rows == 0) return {grad_x, grad_weight};
  LONGSPAN_DISPATCH(x.scalar_type(), "rms_norm_backward", [&] {
    using Math = at::opmath_type<scalar_t>;
    const auto *d = grad.const_data_ptr<scalar_t>(), *from = x.const_data_ptr<scalar_t>(),
               *scale = weight.const_data_ptr<scalar_t>();
    auto* to = grad_x.mutable_data_ptr<scalar_t>();
    with_packs<scalar_t>(on_16_bytes(d, from, scale, to), of, [&](auto wide, auto group) {
      launch(grad_x_kernel<scalar_t, wide, group>, row_blocks(of.rows, group), kThreads, d, from,
             scale, inverse_rms.const_data_ptr<Math>(), of, to);
    });
  });
  return {grad_x, grad_weight};
}

}  // namespace

TORCH_LIBRARY_IMPL(longspan, CUDA, library) {
  library.impl("rms_norm", forward);
  library.impl("rms_norm_backward", backward);
}

}  // namespace longspan::cuda
