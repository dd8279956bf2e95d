#include <torch/library.h>

#include "src/nn/kernels/dropout_group.h"
#include "src/simd/cuda/launch.h"

namespace longspan::cuda {
namespace {

/// A thread draws one group of a row.
template <class T>
__global__ void draw_kernel(DropoutDraw draw, int64_t rows, int64_t columns, T kept, T* mask) {
  const int64_t groups = (columns + kDropoutGroup - 1) / kDropoutGroup;
  const bool in_packs = columns % kDropoutGroup == 0;
  for (int64_t i = first_element(); i < rows * groups; i += element_step()) {
    const int64_t row = i / groups, group = i % groups;
    Pack<T, kDropoutGroup> drawn;
    draw_dropout_group(draw, draw.subsequence(row), group, kept, drawn.values);
    T* to = mask + row * columns + group * kDropoutGroup;
    if (in_packs) {
      store(to, 0, drawn);
      continue;
    }
    for (int j = 0; j < kDropoutGroup && group * kDropoutGroup + j < columns; ++j) {
      to[j] = drawn.values[j];
    }
  }
}

void draw_dropout(at::Tensor mask, int64_t key, int64_t threshold, double kept, int64_t begin,
                  int64_t first_token, int64_t tokens) {
  const c10::cuda::CUDAGuard guard(mask.device());
  const int64_t rows = mask.size(0), columns = mask.size(1);
  if (mask.numel() == 0) return;
  const DropoutDraw draw{.key = static_cast<uint64_t>(key),
                         .threshold = static_cast<uint32_t>(threshold),
                         .begin = begin,
                         .first_token = first_token,
                         .tokens = tokens};
  LONGSPAN_DISPATCH(mask.scalar_type(), "draw_dropout", [&] {
    launch(draw_kernel<scalar_t>,
           blocks_for(rows * ((columns + kDropoutGroup - 1) / kDropoutGroup)), kThreads, draw, rows,
           columns, static_cast<scalar_t>(kept), mask.mutable_data_ptr<scalar_t>());
  });
}

}  // namespace

TORCH_LIBRARY_IMPL(longspan, CUDA, library) { library.impl("draw_dropout", draw_dropout); }

}  // namespace longspan::cuda
