#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "src/simd/cuda/launch.h"

namespace longspan::cuda {
namespace {

struct Shape {
  int64_t batch, tokens, heads, size, half;
  int64_t batch_stride, head_stride, token_stride;  // of x
  int64_t table_stride;                             // 0: one table for all batch entries
};

/// A block takes one head of some tokens, a row of its threads one token: packs of kWide pairs i
/// and i + half, and packs of the elements that stay.
template <class T, int kWide>
__global__ void rotate_kernel(const T* x, const T* cos, const T* sin, Shape shape, bool inverse,
                              T* out) {
  using Math = at::opmath_type<T>;
  const int64_t h = blockIdx.y, b = blockIdx.z;
  const int64_t t = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  if (t >= shape.tokens) return;
  const T* from = x + b * shape.batch_stride + h * shape.head_stride + t * shape.token_stride;
  T* to = out + ((b * shape.tokens + t) * shape.heads + h) * shape.size;
  const int64_t angles = b * shape.table_stride + t * shape.half;
  const int turning = static_cast<int>(shape.half / kWide);
  const int all = static_cast<int>((shape.size - shape.half) / kWide);
  for (int i = threadIdx.x; i < all; i += blockDim.x) {
    if (i >= turning) {
      store(to, turning + i, load<T, kWide>(from, turning + i));
      continue;
    }
    const auto low = load<T, kWide>(from, i), high = load<T, kWide>(from, turning + i);
    const auto c = load<T, kWide>(cos + angles, i), s = load<T, kWide>(sin + angles, i);
    Pack<T, kWide> to_low, to_high;
#pragma unroll
    for (int j = 0; j < kWide; ++j) {
      const Math l = low.values[j], r = high.values[j], c_j = c.values[j];
      const Math s_j = inverse ? -Math{s.values[j]} : Math{s.values[j]};
      to_low.values[j] = static_cast<T>(l * c_j - r * s_j);
      to_high.values[j] = static_cast<T>(r * c_j + l * s_j);
    }
    store(to, i, to_low);
    store(to, turning + i, to_high);
  }
}

template <class T, int kWide>
void rotate(const T* x, const T* cos, const T* sin, const Shape& shape, bool inverse, T* out) {
  const int64_t packs = (shape.size - shape.half) / kWide;
  unsigned wide = 1;
  while (wide < packs && wide < kThreads) wide *= 2;
  const dim3 block(wide, kThreads / wide);
  const dim3 grid(static_cast<unsigned>((shape.tokens + block.y - 1) / block.y),
                  static_cast<unsigned>(shape.heads), static_cast<unsigned>(shape.batch));
  launch(rotate_kernel<T, kWide>, grid, block, x, cos, sin, shape, inverse, out);
}

/// Whether every row of every array begins on 16 bytes and is whole packs of them.
template <class T>
bool is_in_packs(const T* x, const T* cos, const T* sin, const Shape& shape) {
  const int64_t counts[] = {shape.size,        shape.half,         shape.batch_stride,
                            shape.head_stride, shape.token_stride, shape.table_stride};
  return on_16_bytes(x, cos, sin) &&
         std::all_of(std::begin(counts), std::end(counts),
                     [](int64_t count) { return count % kWidest<T> == 0; });
}

at::Tensor rotate_heads(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin,
                        bool inverse) {
  const c10::cuda::CUDAGuard guard(x.device());
  TORCH_CHECK(cos.scalar_type() == x.scalar_type() && sin.scalar_type() == x.scalar_type(),
              "rotate_heads: tables in ", cos.scalar_type(), " for heads in ", x.scalar_type());
  const Shape shape{.batch = x.size(0),
                    .tokens = x.size(2),
                    .heads = x.size(1),
                    .size = x.size(3),
                    .half = cos.size(3),
                    .batch_stride = x.stride(0),
                    .head_stride = x.stride(1),
                    .token_stride = x.stride(2),
                    .table_stride = cos.size(0) == 1 ? 0 : cos.size(2) * cos.size(3)};
  at::Tensor out = at::empty({shape.batch, shape.tokens, shape.heads, shape.size}, x.options());
  if (x.numel() > 0) {
    LONGSPAN_DISPATCH(x.scalar_type(), "rotate_heads", [&] {
      const auto *from = x.const_data_ptr<scalar_t>(), *c = cos.const_data_ptr<scalar_t>(),
                 *s = sin.const_data_ptr<scalar_t>();
      auto* to = out.mutable_data_ptr<scalar_t>();
      if (is_in_packs(from, c, s, shape)) {
        rotate<scalar_t, kWidest<scalar_t>>(from, c, s, shape, inverse, to);
      } else {
        rotate<scalar_t, 1>(from, c, s, shape, inverse, to);
      }
    });
  }
  return out.transpose(1, 2);
}

}  // namespace

TORCH_LIBRARY_IMPL(longspan, CUDA, library) { library.impl("rotate_heads", rotate_heads); }

}  // namespace longspan::cuda
