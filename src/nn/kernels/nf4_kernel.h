#pragma once

#include "src/nn/kernels/elementwise.h"
#include "src/simd/intrinsics.h"

// The 16 values of a block are looked up by pshufb, 16 codes at once, a byte of the values after
// another: each plane holds one byte of all 16.

namespace longspan::elementwise {
namespace {

using namespace simd;

inline void split_into_planes(const uint16_t* values, __m128i (&plane)[2]) {
  // The low bytes of 8 values, then their high bytes.
  const __m128i order = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
  const auto* from = reinterpret_cast<const __m128i*>(values);
  const __m128i first = _mm_shuffle_epi8(_mm_loadu_si128(from), order);
  const __m128i second = _mm_shuffle_epi8(_mm_loadu_si128(from + 1), order);
  plane[0] = _mm_unpacklo_epi64(first, second);
  plane[1] = _mm_unpackhi_epi64(first, second);
}

inline void split_into_planes(const float* values, __m128i (&plane)[4]) {
  // Of 4 values the 4 lowest bytes, then the next, as dwords; which are then transposed.
  const __m128i order = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const auto* from = reinterpret_cast<const __m128i*>(values);
  const __m128i a = _mm_shuffle_epi8(_mm_loadu_si128(from), order);
  const __m128i b = _mm_shuffle_epi8(_mm_loadu_si128(from + 1), order);
  const __m128i c = _mm_shuffle_epi8(_mm_loadu_si128(from + 2), order);
  const __m128i d = _mm_shuffle_epi8(_mm_loadu_si128(from + 3), order);
  const __m128i low_ab = _mm_unpacklo_epi32(a, b), high_ab = _mm_unpackhi_epi32(a, b);
  const __m128i low_cd = _mm_unpacklo_epi32(c, d), high_cd = _mm_unpackhi_epi32(c, d);
  plane[0] = _mm_unpacklo_epi64(low_ab, low_cd);
  plane[1] = _mm_unpackhi_epi64(low_ab, low_cd);
  plane[2] = _mm_unpacklo_epi64(high_ab, high_cd);
  plane[3] = _mm_unpackhi_epi64(high_ab, high_cd);
}

/// Writes the values of 16 codes, one a byte of `index`.
inline void look_up(const __m128i (&plane)[2], __m128i index, uint16_t* out) {
  const __m128i low = _mm_shuffle_epi8(plane[0], index);
  const __m128i high = _mm_shuffle_epi8(plane[1], index);
  auto* to = reinterpret_cast<__m128i*>(out);
  _mm_storeu_si128(to, _mm_unpacklo_epi8(low, high));
  _mm_storeu_si128(to + 1, _mm_unpackhi_epi8(low, high));
}

inline void look_up(const __m128i (&plane)[4], __m128i index, float* out) {
  const __m128i byte0 = _mm_shuffle_epi8(plane[0], index);
  const __m128i byte1 = _mm_shuffle_epi8(plane[1], index);
  const __m128i byte2 = _mm_shuffle_epi8(plane[2], index);
  const __m128i byte3 = _mm_shuffle_epi8(plane[3], index);
  const __m128i low01 = _mm_unpacklo_epi8(byte0, byte1), high01 = _mm_unpackhi_epi8(byte0, byte1);
  const __m128i low23 = _mm_unpacklo_epi8(byte2, byte3), high23 = _mm_unpackhi_epi8(byte2, byte3);
  auto* to = reinterpret_cast<__m128i*>(out);
  _mm_storeu_si128(to, _mm_unpacklo_epi16(low01, low23));
  _mm_storeu_si128(to + 1, _mm_unpackhi_epi16(low01, low23));
  _mm_storeu_si128(to + 2, _mm_unpacklo_epi16(high01, high23));
  _mm_storeu_si128(to + 3, _mm_unpackhi_epi16(high01, high23));
}

template <class K>
void dequantize_nf4(const uint8_t* codes, const float* scales, const float* codebook,
                    int64_t blocks, void* out) {
  using E = typename K::Element;
  const __m128i low_half = _mm_set1_epi8(0x0f);
  auto* to = static_cast<E*>(out);
  for (int64_t block = 0; block < blocks; ++block) {
    E values[16];
    for (int64_t i = 0; i < 16; i += K::kLanes) {
      K::store(values + i, K::multiply(K::load(codebook + i), K::all(scales[block])));
    }
    __m128i plane[sizeof(E)];
    split_into_planes(values, plane);
    for (int64_t half = 0; half < 2; ++half, codes += 16, to += 32) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes));
      const __m128i even = _mm_and_si128(_mm_srli_epi16(bytes, 4), low_half);
      const __m128i odd = _mm_and_si128(bytes, low_half);
      look_up(plane, _mm_unpacklo_epi8(even, odd), to);
      look_up(plane, _mm_unpackhi_epi8(even, odd), to + 16);
    }
  }
}

}  // namespace
}  // namespace longspan::elementwise
