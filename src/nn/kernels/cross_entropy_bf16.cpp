#include "src/nn/kernels/cross_entropy_bf16.h"

#include "src/attention/kernels/vector_bf16.h"

namespace longspan::bf16 {

namespace {

// A row stays in the L2 cache (96 KiB at 49,152 logits), so that passing over it again is cheaper
// than rescaling a running sum.

inline float largest_of(const uint16_t* row, int64_t size) {
  const __m512 lowest = _mm512_set1_ps(-__builtin_inff());
  __m512 largest = lowest;
  for (int64_t i = 0; i < size; i += 16) {
    const __mmask16 lanes = first_lanes(size - i);
    largest = _mm512_max_ps(_mm512_mask_mov_ps(lowest, lanes, from_bf16(row + i, lanes)), largest);
  }
  return _mm512_reduce_max_ps(largest);
}

/// e^(row[i] - largest) / 2^log2_sum, the lanes outside the row being 0.
inline __m512 exponentials(const uint16_t* row, __mmask16 lanes, __m512 largest, __m512 log2_sum) {
  const __m512 below = _mm512_sub_ps(from_bf16(row, lanes), largest);
  const __m512 power = _mm512_fmsub_ps(below, _mm512_set1_ps(kLog2E), log2_sum);
  return _mm512_maskz_mov_ps(lanes, exp2_of(power));
}

inline float sum_of_exponentials(const uint16_t* row, int64_t size, __m512 largest) {
  const __m512 zero = _mm512_setzero_ps();
  __m512 sum = zero;
  for (int64_t i = 0; i < size; i += 16) {
    sum = _mm512_add_ps(sum, exponentials(row + i, first_lanes(size - i), largest, zero));
  }
  return _mm512_reduce_add_ps(sum);
}

inline float value_of(uint16_t bits) { return _mm512_cvtss_f32(from_bf16(&bits, first_lanes(1))); }

}  // namespace

void cross_entropy_rows(uint16_t* logits, const int64_t* labels, int64_t rows, int64_t size,
                        bool gradient, float* losses) {
  for (int64_t row = 0; row < rows; ++row, logits += size) {
    if (labels[row] < 0) {
      losses[row] = 0;
      if (gradient) __builtin_memset(logits, 0, static_cast<size_t>(size) * sizeof(uint16_t));
      continue;
    }
    const float most = largest_of(logits, size);
    const __m512 largest = _mm512_set1_ps(most);
    const float log2_sum = __builtin_log2f(sum_of_exponentials(logits, size, largest));
    uint16_t& target = logits[labels[row]];
    losses[row] = kLn2 * log2_sum + (most - value_of(target));
    if (!gradient) continue;
    const __m512 normalizer = _mm512_set1_ps(log2_sum);
    const __m512 of_target = exponentials(&target, first_lanes(1), largest, normalizer);
    for (int64_t i = 0; i < size; i += 16) {
      const __mmask16 lanes = first_lanes(size - i);
      store_bf16(logits + i, exponentials(logits + i, lanes, largest, normalizer), lanes);
    }
    store_bf16(&target, _mm512_sub_ps(of_target, _mm512_set1_ps(1.0f)), first_lanes(1));
  }
}

}  // namespace longspan::bf16
