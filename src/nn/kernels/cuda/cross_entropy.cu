#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <limits>
#include <type_traits>

#include "src/simd/cuda/launch.h"

namespace longspan::cuda {
namespace {

constexpr int kWarp = 32;

/// Of numbers: the largest, which passes over NaN, and the sum of exp(x - largest), which does not.
template <class Math>
struct Exponentials {
  Math largest, sum;

  __device__ void add(const Exponentials& other) {
    const Math most = other.largest > largest ? other.largest : largest;
    sum = sum * exp(largest - most) + other.sum * exp(other.largest - most);
    largest = most;
  }

  template <class T, int kWide>
  __device__ void add(const Pack<T, kWide>& pack) {
    Math most = largest;
#pragma unroll
    for (int j = 0; j < kWide; ++j) {
      const Math x = pack.values[j];
      if (x > most) most = x;
    }
    if (most > largest) sum *= exp(largest - most);
    largest = most;
#pragma unroll
    for (int j = 0; j < kWide; ++j) sum += exp(static_cast<Math>(pack.values[j]) - most);
  }
};

/// Those of a block's threads together, the same bits for each; all of them call it.
template <class Math>
__device__ Exponentials<Math> of_block(Exponentials<Math> own) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    const Exponentials<Math> other{__shfl_xor_sync(0xffffffff, own.largest, offset),
                                   __shfl_xor_sync(0xffffffff, own.sum, offset)};
    own.add(other);
  }
  __shared__ Exponentials<Math> of_warp[kThreads / kWarp];
  __syncthreads();  // those of the row before have been read
  if (threadIdx.x % kWarp == 0) of_warp[threadIdx.x / kWarp] = own;
  __syncthreads();
  Exponentials<Math> all = of_warp[0];
  for (int warp = 1; warp < kThreads / kWarp; ++warp) all.add(of_warp[warp]);
  return all;
}

/// The losses of logits [rows, size], which become their gradient where that is wanted. A block
/// takes a row at a time, in packs of kWide.
template <class T, int kWide, class Math = at::opmath_type<T>>
__global__ void rows_kernel(T* logits, const int64_t* labels, int64_t rows, int64_t size,
                            bool gradient, Math* losses) {
  const int64_t packs = size / kWide;
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    T* const x = logits + row * size;
    const int64_t label = labels[row];
    const bool is_scored = label >= 0;  // kIgnoreIndex is below
    Math target = 0, log_sum = 0;
    Exponentials<Math> all{std::numeric_limits<Math>::lowest(), 0};
    if (is_scored) {
      target = x[label];
      for (int64_t i = threadIdx.x; i < packs; i += kThreads) all.add(load<T, kWide>(x, i));
      all = of_block(all);
      log_sum = log(all.sum);
    }
    if (threadIdx.x == 0) losses[row] = is_scored ? log_sum + (all.largest - target) : Math{0};
    if (!gradient) continue;
    for (int64_t i = threadIdx.x; i < packs; i += kThreads) {
      Pack<T, kWide> pack = load<T, kWide>(x, i);
#pragma unroll
      for (int j = 0; j < kWide; ++j) {
        const Math probability = exp((static_cast<Math>(pack.values[j]) - all.largest) - log_sum);
        const Math one_hot = i * kWide + j == label ? 1 : 0;
        pack.values[j] = static_cast<T>(is_scored ? probability - one_hot : Math{0});
      }
      store(x, i, pack);
    }
  }
}

at::Tensor cross_entropy_rows(at::Tensor logits, const at::Tensor& labels, bool gradient) {
  const c10::cuda::CUDAGuard guard(logits.device());
  const int64_t rows = logits.size(0), size = logits.size(1);
  TORCH_CHECK(logits.is_contiguous() && labels.is_contiguous() &&
                  labels.device() == logits.device() && labels.scalar_type() == at::kLong &&
                  labels.numel() == rows,
              "cross_entropy_rows: labels ", labels.scalar_type(), " ", labels.sizes(),
              " do not suit logits ", logits.sizes());
  at::Tensor losses =
      at::empty({rows}, logits.options().dtype(at::toOpMathType(logits.scalar_type())));
  if (rows == 0) return losses;
  LONGSPAN_DISPATCH(logits.scalar_type(), "cross_entropy_rows", [&] {
    using Math = at::opmath_type<scalar_t>;
    auto* x = logits.mutable_data_ptr<scalar_t>();
    const auto run = [&](auto wide) {
      launch(rows_kernel<scalar_t, wide>, blocks_for(rows * kThreads), kThreads, x,
             labels.const_data_ptr<int64_t>(), rows, size, gradient,
             losses.mutable_data_ptr<Math>());
    };
    constexpr int kWide = kWidest<scalar_t>;
    if (on_16_bytes(x) && size % kWide == 0) {
      run(std::integral_constant<int, kWide>());
    } else {
      run(std::integral_constant<int, 1>());
    }
  });
  return losses;
}

}  // namespace

TORCH_LIBRARY_IMPL(longspan, CUDA, library) {
  library.impl("cross_entropy_rows", cross_entropy_rows);
}

}  // namespace longspan::cuda
