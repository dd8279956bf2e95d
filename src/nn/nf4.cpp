#include "src/nn/nf4.h"

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linspace.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "src/core/error.h"
#include "src/nn/kernels/elementwise.h"
#include "src/simd/operators.h"

namespace longspan {

namespace {

constexpr int64_t kGrainBlocks = 256;

/// bitsandbytes' create_dynamic_map: between the powers of ten from 1e-6 to 1, the means of ever
/// more equal steps, twice as many without a sign. linspace is LibTorch's, whose rounding is that
/// of no formula.
std::array<float, 256> make_dynamic_map(bool has_sign) {
  std::vector<float> map{0.0f, 1.0f};
  for (int exponent = 0; exponent < 7; ++exponent) {
    int64_t steps = int64_t{has_sign ? 1 : 2} << exponent;
    at::Tensor bounds = at::linspace(0.1, 1, steps + 1, at::kFloat);
    at::Tensor means = (bounds.narrow(0, 0, steps) + bounds.narrow(0, 1, steps)) / 2.0;
    at::Tensor values = means * std::pow(10.0, exponent - 6);
    for (int64_t i = 0; i < steps; ++i) {
      map.push_back(values[i].item<float>());
      if (has_sign) map.push_back(-values[i].item<float>());
    }
  }
  std::sort(map.begin(), map.end());
  std::array<float, 256> result{};
  std::copy(map.begin(), map.end(), result.begin());
  return result;
}

/// Half way between neighbours of the codebook; a value on it takes the lower code.
std::array<float, 15> nf4_bounds() {
  std::array<float, 15> bounds{};
  for (size_t i = 0; i < bounds.size(); ++i) {
    bounds[i] = (nf4_codebook()[i] + nf4_codebook()[i + 1]) / 2;
  }
  return bounds;
}

/// One block of 64: codes, and the largest magnitude. The loops are written for the vectoriser.
float quantize_block(const float* values, const std::array<float, 15>& bounds, uint8_t* codes) {
  constexpr int64_t kBlock = Nf4Weight::kBlock, kLanes = 16;
  std::array<float, kLanes> largest{};
  for (int64_t i = 0; i < kBlock; ++i) {
    largest[i % kLanes] = std::max(largest[i % kLanes], std::abs(values[i]));
  }
  float scale = *std::max_element(largest.begin(), largest.end());
  float inverse = 1.0f / std::max(scale, 1e-38f);
  std::array<float, kBlock> scaled;
  for (int64_t i = 0; i < kBlock; ++i) scaled[i] = std::clamp(values[i] * inverse, -1.0f, 1.0f);
  std::array<int32_t, kBlock> nearest{};
  for (float bound : bounds) {
    for (int64_t i = 0; i < kBlock; ++i) nearest[i] += scaled[i] > bound;
  }
  for (int64_t i = 0; i < kBlock; i += 2) {
    codes[i / 2] = static_cast<uint8_t>(nearest[i] << 4 | nearest[i + 1]);
  }
  return scale;
}

uint8_t nearest_in_dynamic_map(float value) {
  const auto& map = dynamic_map();
  auto above = std::lower_bound(map.begin(), map.end(), value);
  if (above == map.begin()) return 0;
  if (above == map.end()) return 255;
  auto below = above - 1;
  return static_cast<uint8_t>((*above - value < value - *below ? above : below) - map.begin());
}

/// x.mean() on one thread: LibTorch rounds a sum of 32,768 numbers or more otherwise for each
/// number of threads, except within a parallel region.
float mean_of(const at::Tensor& x) {
  float mean = 0;
  at::parallel_for(0, 2, /*grain_size=*/1, [&](int64_t begin, int64_t) {
    if (begin == 0) mean = x.mean().item<float>();
  });
  return mean;
}

/// Double quantisation of the scales [blocks] float32.
void quantize_scales(const at::Tensor& scales, Nf4Weight& weight) {
  weight.offset = mean_of(scales);
  at::Tensor centred = scales - weight.offset;
  const float* from = centred.const_data_ptr<float>();
  int64_t blocks = scales.numel(), unit = Nf4Weight::kScaleBlock;
  weight.scale_codes = at::empty({blocks}, at::kByte);
  weight.nested_scale = at::empty({(blocks + unit - 1) / unit}, at::kFloat);
  auto* codes = weight.scale_codes.mutable_data_ptr<uint8_t>();
  for (int64_t begin = 0; begin < blocks; begin += unit) {
    int64_t end = std::min(blocks, begin + unit);
    float scale = 0;
    for (int64_t i = begin; i < end; ++i) scale = std::max(scale, std::abs(from[i]));
    weight.nested_scale.mutable_data_ptr<float>()[begin / unit] = scale;
    float inverse = scale == 0 ? 0 : 1.0f / scale;
    for (int64_t i = begin; i < end; ++i) codes[i] = nearest_in_dynamic_map(from[i] * inverse);
  }
}

/// As elementwise::Kernels::dequantize_nf4, where no kernel of ours is.
template <class E>
void look_up(const uint8_t* codes, const float* scales, const float* codebook, int64_t blocks,
             E* out) {
  for (int64_t block = 0; block < blocks; ++block) {
    std::array<E, 16> values;
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<E>(codebook[i] * scales[block]);
    }
    for (int64_t i = 0; i < Nf4Weight::kBlock / 2; ++i, ++codes) {
      *out++ = values[*codes >> 4];
      *out++ = values[*codes & 15];
    }
  }
}

// `map` [256] are the values of scale_codes and `codebook` [16] those of codes, both in float32 on
// the CPU; `out` is contiguous.
using Dequantize = void(const at::Tensor& codes, const at::Tensor& scale_codes,
                        const at::Tensor& nested_scale, double offset, const at::Tensor& map,
                        const at::Tensor& codebook, at::Tensor out);

void cpu_dequantize(const at::Tensor& codes, const at::Tensor& scale_codes,
                    const at::Tensor& nested_scale, double offset, const at::Tensor& map,
                    const at::Tensor& codebook, at::Tensor out) {
  const auto* code = codes.const_data_ptr<uint8_t>();
  const auto* scale_code = scale_codes.const_data_ptr<uint8_t>();
  const auto* nested = nested_scale.const_data_ptr<float>();
  const float *scale_values = map.const_data_ptr<float>(),
              *values = codebook.const_data_ptr<float>();
  const float mean = static_cast<float>(offset);
  const elementwise::Kernels* kernels = elementwise::kernels_for(out);
  auto* to = static_cast<std::byte*>(out.mutable_data_ptr());
  const int64_t block_bytes = Nf4Weight::kBlock * static_cast<int64_t>(out.element_size());
  at::parallel_for(0, scale_codes.numel(), kGrainBlocks, [&](int64_t begin, int64_t end) {
    constexpr int64_t kSlice = 64;
    std::array<float, kSlice> scales;
    for (int64_t first = begin; first < end; first += kSlice) {
      int64_t count = std::min(kSlice, end - first);
      for (int64_t i = 0; i < count; ++i) {
        int64_t block = first + i;
        scales[i] = scale_values[scale_code[block]] * nested[block / Nf4Weight::kScaleBlock] + mean;
      }
      const uint8_t* from = code + first * Nf4Weight::kBlock / 2;
      std::byte* blocks = to + first * block_bytes;
      if (kernels) {
        kernels->dequantize_nf4(from, scales.data(), values, count, blocks);
      } else {
        AT_DISPATCH_FLOATING_TYPES_AND2(
            at::kBFloat16, at::kHalf, out.scalar_type(), "dequantize_nf4", [&] {
              look_up(from, scales.data(), values, count, reinterpret_cast<scalar_t*>(blocks));
            });
      }
    }
  });
}

/// The same memory, for as long as the program runs.
template <size_t N>
at::Tensor as_tensor(const std::array<float, N>& values) {
  return at::from_blob(const_cast<float*>(values.data()), {static_cast<int64_t>(N)}, at::kFloat);
}

}  // namespace

const std::array<float, 16>& nf4_codebook() {
  static constexpr std::array<float, 16> codebook{-1.0f,
                                                  -0.6961928009986877f,
                                                  -0.5250730514526367f,
                                                  -0.39491748809814453f,
                                                  -0.28444138169288635f,
                                                  -0.18477343022823334f,
                                                  -0.09105003625154495f,
                                                  0.0f,
                                                  0.07958029955625534f,
                                                  0.16093020141124725f,
                                                  0.24611230194568634f,
                                                  0.33791524171829224f,
                                                  0.44070982933044434f,
                                                  0.5626170039176941f,
                                                  0.7229568362236023f,
                                                  1.0f};
  return codebook;
}

const std::array<float, 256>& dynamic_map() {
  static const std::array<float, 256> map = make_dynamic_map(/*has_sign=*/true);
  return map;
}

const std::array<float, 256>& unsigned_dynamic_map() {
  static const std::array<float, 256> map = make_dynamic_map(/*has_sign=*/false);
  return map;
}

Nf4Weight quantize_nf4(const at::Tensor& weight) {
  if (weight.dim() != 2 || weight.numel() % Nf4Weight::kBlock != 0) {
    fail(ExitCode::kModel, "NF4: a weight of {} elements does not fall into blocks of {}",
         weight.numel(), Nf4Weight::kBlock);
  }
  Nf4Weight result;
  result.rows = weight.size(0);
  result.columns = weight.size(1);
  result.dtype = weight.scalar_type();
  int64_t blocks = weight.numel() / Nf4Weight::kBlock;
  at::Tensor flat = weight.contiguous().view(-1), scales = at::empty({blocks}, at::kFloat);
  result.codes = at::empty({weight.numel() / 2}, at::kByte);
  auto* codes = result.codes.mutable_data_ptr<uint8_t>();
  auto* scale = scales.mutable_data_ptr<float>();
  const std::array<float, 15> bounds = nf4_bounds();
  at::parallel_for(0, blocks, kGrainBlocks, [&](int64_t begin, int64_t end) {
    constexpr int64_t kSlice = 64;  // blocks converted to float32 at once
    for (int64_t first = begin; first < end; first += kSlice) {
      int64_t last = std::min(end, first + kSlice);
      at::Tensor slice =
          flat.slice(0, first * Nf4Weight::kBlock, last * Nf4Weight::kBlock).to(at::kFloat);
      const float* values = slice.const_data_ptr<float>();
      for (int64_t block = first; block < last; ++block) {
        scale[block] = quantize_block(values + (block - first) * Nf4Weight::kBlock, bounds,
                                      codes + block * Nf4Weight::kBlock / 2);
      }
    }
  });
  quantize_scales(scales, result);
  return result;
}

at::Tensor dequantize(const Nf4Weight& weight, at::Tensor out) {
  static const auto op = find_operator<Dequantize>("longspan::dequantize_nf4");
  static const at::Tensor map = as_tensor(dynamic_map()), codebook = as_tensor(nf4_codebook());
  if (!out.defined()) {
    out = at::empty({weight.rows, weight.columns}, weight.codes.options().dtype(weight.dtype));
  }
  op.call(weight.codes, weight.scale_codes, weight.nested_scale, weight.offset, map, codebook, out);
  return out;
}

TORCH_LIBRARY_FRAGMENT(longspan, library) {
  library.def(
      "dequantize_nf4(Tensor codes, Tensor scale_codes, Tensor nested_scale, float offset,"
      " Tensor map, Tensor codebook, Tensor(a!) out) -> ()");
}

TORCH_LIBRARY_IMPL(longspan, CPU, library) { library.impl("dequantize_nf4", cpu_dequantize); }

}  // namespace longspan
