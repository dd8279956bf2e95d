#include <torch/library.h>

#include "src/nn/nf4.h"
#include "src/simd/cuda/launch.h"

namespace longspan::cuda {
namespace {

/// Passed by value: 1088 of the 4096 bytes that the parameters of a kernel may take.
struct Tables {
  float scale_values[256];
  float values[16];
};

/// A thread writes 16 bytes at once: they share a scale, as a block of values is whole packs. The
/// codes behind the last pack, of two values each, come one by one.
template <class T>
__global__ void dequantize_kernel(const uint8_t* codes, const uint8_t* scale_codes,
                                  const float* nested_scale, float offset, Tables tables,
                                  int64_t packs, int64_t count, T* out) {
  // Parameters lie in constant memory, which serves threads that look up different entries one
  // after another.
  __shared__ Tables shared;
  for (int i = threadIdx.x; i < 256; i += blockDim.x) {
    shared.scale_values[i] = tables.scale_values[i];
  }
  if (threadIdx.x < 16) shared.values[threadIdx.x] = tables.values[threadIdx.x];
  __syncthreads();
  const auto scale_of = [&](int64_t code) {
    const int64_t block = 2 * code / Nf4Weight::kBlock;
    // Rounded after the product as on the CPU: no fused multiply-add.
    return __fadd_rn(__fmul_rn(shared.scale_values[scale_codes[block]],
                               nested_scale[block / Nf4Weight::kScaleBlock]),
                     offset);
  };
  constexpr int kWide = kWidest<T>, kCodes = kWide / 2;
  static_assert(Nf4Weight::kBlock % kWide == 0);
  for (int64_t i = first_element(); i < packs; i += element_step()) {
    const auto pack = load<uint8_t, kCodes>(codes, i);
    const float scale = scale_of(i * kCodes);
    Pack<T, kWide> y;
#pragma unroll
    for (int j = 0; j < kCodes; ++j) {
      y.values[2 * j] = static_cast<T>(shared.values[pack.values[j] >> 4] * scale);
      y.values[2 * j + 1] = static_cast<T>(shared.values[pack.values[j] & 15] * scale);
    }
    store(out, i, y);
  }
  for (int64_t i = packs * kCodes + first_element(); i < count; i += element_step()) {
    const float scale = scale_of(i);
    out[2 * i] = static_cast<T>(shared.values[codes[i] >> 4] * scale);
    out[2 * i + 1] = static_cast<T>(shared.values[codes[i] & 15] * scale);
  }
}

void dequantize(const at::Tensor& codes, const at::Tensor& scale_codes,
                const at::Tensor& nested_scale, double offset, const at::Tensor& map,
                const at::Tensor& codebook, at::Tensor out) {
  const c10::cuda::CUDAGuard guard(out.device());
  if (codes.numel() == 0) return;
  Tables tables;
  std::copy_n(map.const_data_ptr<float>(), 256, tables.scale_values);
  std::copy_n(codebook.const_data_ptr<float>(), 16, tables.values);
  LONGSPAN_DISPATCH(out.scalar_type(), "dequantize_nf4", [&] {
    const auto* from = codes.const_data_ptr<uint8_t>();
    auto* to = out.mutable_data_ptr<scalar_t>();
    const int64_t count = codes.numel();
    const int64_t packs = on_16_bytes(from, to) ? 2 * count / kWidest<scalar_t> : 0;
    launch(dequantize_kernel<scalar_t>, blocks_for(packs > 0 ? packs : count), kThreads, from,
           scale_codes.const_data_ptr<uint8_t>(), nested_scale.const_data_ptr<float>(),
           static_cast<float>(offset), tables, packs, count, to);
  });
}

}  // namespace

TORCH_LIBRARY_IMPL(longspan, CUDA, library) { library.impl("dequantize_nf4", dequantize); }

}  // namespace longspan::cuda
