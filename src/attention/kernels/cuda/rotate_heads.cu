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

/// A thread turns one pair of elements, i and i + half, or copies one of those that stay.
template <class T>
__global__ void rotate_kernel(const T* x, const T* cos, const T* sin, Shape shape, bool inverse,
                              T* out) {
  using Math = at::opmath_type<T>;
  const int64_t width = shape.size - shape.half;
  const int64_t count = shape.batch * shape.tokens * shape.heads * width;
  for (int64_t element = first_element(); element < count; element += element_step()) {
    const int64_t i = element % width, head_row = element / width;  // of [B, T, H]
    const int64_t h = head_row % shape.heads, row = head_row / shape.heads;
    const int64_t t = row % shape.tokens, b = row / shape.tokens;
    const T* from = x + b * shape.batch_stride + h * shape.head_stride + t * shape.token_stride;
    T* to = out + head_row * shape.size;
    if (i >= shape.half) {
      to[shape.half + i] = from[shape.half + i];
      continue;
    }
    const int64_t angle = b * shape.table_stride + t * shape.half + i;
    const Math c = cos[angle], s = inverse ? -Math{sin[angle]} : Math{sin[angle]};
    const Math low = from[i], high = from[i + shape.half];
    to[i] = static_cast<T>(low * c - high * s);
    to[i + shape.half] = static_cast<T>(high * c + low * s);
  }
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
      rotate_kernel<<<blocks_for(x.numel()), kThreads, 0, c10::cuda::getCurrentCUDAStream()>>>(
          x.const_data_ptr<scalar_t>(), cos.const_data_ptr<scalar_t>(),
          sin.const_data_ptr<scalar_t>(), shape, inverse, out.mutable_data_ptr<scalar_t>());
      C10_CUDA_KERNEL_LAUNCH_CHECK();
    });
  }
  return out.transpose(1, 2);
}

}  // namespace

TORCH_LIBRARY_IMPL(longspan, CUDA, library) { library.impl("rotate_heads", rotate_heads); }

}  // namespace longspan::cuda
