#pragma once

#include "src/nn/kernels/elementwise.h"
#include "src/simd/logarithms.h"
#include "src/simd/vector_span.h"

namespace longspan::elementwise {
namespace {

using namespace simd;

// A row stays in the L2 cache (96 KiB of bf16 at 49,152 logits), so that passing over it again is
// cheaper than rescaling a running sum.

inline float value_of(float x) { return x; }
inline float value_of(uint16_t bf16) {
  const uint32_t bits = uint32_t{bf16} << 16;
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

/// NaN is passed over.
template <class K>
float largest_of(const typename K::Element* row, int64_t size) {
  typename K::Element last[K::kLanes];  // the end of the row, filled up with its first logit
  for (int64_t lane = 0; lane < K::kLanes; ++lane) {
    const int64_t i = size / K::kLanes * K::kLanes + lane;
    last[lane] = row[i < size ? i : 0];
  }
  auto largest = K::maximum(K::load(last), K::all(-__builtin_inff()));
  for (int64_t i = 0; i + K::kLanes <= size; i += K::kLanes) {
    largest = K::maximum(K::load(row + i), largest);
  }
  return K::maximum(largest);
}

/// e^(x - largest) / 2^log2_sum
template <class K>
inline typename K::Vector exponentials(typename K::Vector x, float largest, float log2_sum) {
  const auto below = K::subtract(x, K::all(largest));
  return K::exp2(K::multiply_subtract(below, K::all(kLog2E), K::all(log2_sum)));
}

template <class K>
float sum_of_exponentials(const typename K::Element* row, int64_t size, float largest) {
  constexpr int64_t kBlock = 128 * K::kLanes;  // many numbers in one sum lose digits
  auto sum = K::zero();
  for (int64_t begin = 0; begin < size; begin += kBlock) {
    auto part = K::zero();
    each_vector<K>(begin, begin + kBlock < size ? begin + kBlock : size,
                   [&](int64_t i, auto lanes) {
                     const auto x = exponentials<K>(lanes.load(row + i), largest, 0);
                     part = K::add(part, lanes.keep(x));
                   });
    sum = K::add(sum, part);
  }
  return K::sum(sum);
}

template <class K>
void cross_entropy_rows(void* logits, const int64_t* labels, int64_t rows, int64_t size,
                        bool gradient, float* losses) {
  using E = typename K::Element;
  auto* row = static_cast<E*>(logits);
  for (int64_t r = 0; r < rows; ++r, row += size) {
    if (labels[r] < 0) {
      losses[r] = 0;
      if (gradient) __builtin_memset(row, 0, static_cast<size_t>(size) * sizeof(E));
      continue;
    }
    const float largest = largest_of<K>(row, size);
    const float log2_sum = __builtin_log2f(sum_of_exponentials<K>(row, size, largest));
    E& target = row[labels[r]];
    losses[r] = kLn2 * log2_sum + (largest - value_of(target));
    if (!gradient) continue;
    const FirstLanes<K> one_lane{1};
    const auto of_target = exponentials<K>(one_lane.load(&target), largest, log2_sum);
    each_vector<K>(0, size, [&](int64_t i, auto lanes) {
      lanes.store(row + i, exponentials<K>(lanes.load(row + i), largest, log2_sum));
    });
    one_lane.store(&target, K::subtract(of_target, K::all(1.0f)));
  }
}

}  // namespace
}  // namespace longspan::elementwise
