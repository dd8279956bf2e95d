#pragma once

#include <cstdint>

#include "src/simd/intrinsics.h"

// The vectors of our kernels on AVX-512 (F, BW, VL, DQ). vector_avx2.h has the same names.
//
// In an unnamed namespace, and included only by files built for such a processor: a function which
// the linker may share with other files would carry AVX-512 to processors without it. For the same
// reason these files use no inline function of the standard library.

namespace longspan::simd {
namespace {

struct Avx512 {
  using Vector = __m512;
  using Mask = __mmask16;
  static constexpr int64_t kLanes = 16;
  static constexpr int64_t kTileVectors = 4;  // 6 x 4 accumulators of the 32 registers

  static Vector zero() { return _mm512_setzero_ps(); }
  static Vector all(float x) { return _mm512_set1_ps(x); }
  static Vector add(Vector a, Vector b) { return _mm512_add_ps(a, b); }
  static Vector subtract(Vector a, Vector b) { return _mm512_sub_ps(a, b); }
  static Vector multiply(Vector a, Vector b) { return _mm512_mul_ps(a, b); }
  static Vector divide(Vector a, Vector b) { return _mm512_div_ps(a, b); }
  static Vector minimum(Vector a, Vector b) { return _mm512_min_ps(a, b); }
  static Vector maximum(Vector a, Vector b) { return _mm512_max_ps(a, b); }
  static Vector multiply_add(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
  static Vector multiply_subtract(Vector a, Vector b, Vector c) { return _mm512_fmsub_ps(a, b, c); }
  static Vector square_root(Vector x) { return _mm512_sqrt_ps(x); }
  static Vector round(Vector x) {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  /// x * 2^n of whole n.
  static Vector scale(Vector x, Vector n) { return _mm512_scalef_ps(x, n); }
  static float sum(Vector x) { return _mm512_reduce_add_ps(x); }
  static float maximum(Vector x) { return _mm512_reduce_max_ps(x); }

  static Vector load(const float* from) { return _mm512_loadu_ps(from); }
  static void store(float* to, Vector x) { _mm512_storeu_ps(to, x); }
  static Vector load(const uint16_t* bf16) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bf16));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
  static Vector load(const int8_t* from) {
    const __m128i sixteen = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(sixteen));
  }
  /// To nearest even, as vcvtneps2bf16 does but for denormals; NaN stays NaN.
  static void store(uint16_t* bf16, Vector x) {
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    rounded = _mm512_mask_mov_epi32(rounded, nan, _mm512_set1_epi32(0x7fc00000));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(bf16),
                        _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16)));
  }

  /// The lanes l with begin <= l < end; both may lie outside the vector.
  static Mask lanes(int64_t begin, int64_t end) {
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const Mask from = _mm512_cmpge_epi32_mask(lane, _mm512_set1_epi32(static_cast<int>(begin)));
    return _mm512_mask_cmplt_epi32_mask(from, lane, _mm512_set1_epi32(static_cast<int>(end)));
  }
  /// The lanes outside the mask are those of `other`, and not read.
  static Vector load(Mask mask, const float* from, Vector other) {
    return _mm512_mask_loadu_ps(other, mask, from);
  }
  static Vector keep(Mask mask, Vector x) { return _mm512_maskz_mov_ps(mask, x); }

  static Vector broadcast(const uint32_t* dword) {
    return _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(*dword)));
  }

  /// table[index], of 256 values.
  static Vector look_up(const float* table, const uint8_t* index) {
    const __m128i sixteen = _mm_loadu_si128(reinterpret_cast<const __m128i*>(index));
    return _mm512_i32gather_ps(_mm512_cvtepu8_epi32(sixteen), table, 4);
  }
  /// How many of the bounds are below x (see BoundTable).
  template <class BoundTable>
  static void count_below(const BoundTable& table, Vector x, uint8_t* counts) {
    const __m512i bits = _mm512_castps_si512(x), least = _mm512_set1_epi32(table.kLeastBits);
    __m512i bucket = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(0x7fff));
    bucket = _mm512_sub_epi32(_mm512_max_epi32(bucket, least), least);
    bucket = _mm512_min_epi32(bucket, _mm512_set1_epi32(table.kBuckets - 1));
    bucket = _mm512_mask_add_epi32(bucket, _mm512_movepi32_mask(bits), bucket,
                                   _mm512_set1_epi32(table.kBuckets));
    __m512i count =
        _mm512_and_si512(_mm512_i32gather_epi32(bucket, table.below, 1), _mm512_set1_epi32(0xff));
    const Vector bound = _mm512_i32gather_ps(count, table.bounds, 4);
    count = _mm512_mask_add_epi32(count, _mm512_cmp_ps_mask(bound, x, _CMP_LT_OQ), count,
                                  _mm512_set1_epi32(1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(counts), _mm512_cvtepi32_epi8(count));
  }

  /// Transposes 16 x 16 dwords, in four rounds of interleaving: dwords, qwords, and twice lanes.
  static void transpose(Vector (&row)[16]) {
    __m512i half[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
      const __m512i even = _mm512_castps_si512(row[i]), odd = _mm512_castps_si512(row[i + 1]);
      half[i] = _mm512_unpacklo_epi32(even, odd);
      half[i + 1] = _mm512_unpackhi_epi32(even, odd);
    }
    // quad[4g + c]: dword 4l + c of the source rows 4g .. 4g + 3, in lane l.
    __m512i quad[16];
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
      quad[i] = _mm512_unpacklo_epi64(half[i], half[i + 2]);
      quad[i + 1] = _mm512_unpackhi_epi64(half[i], half[i + 2]);
      quad[i + 2] = _mm512_unpacklo_epi64(half[i + 1], half[i + 3]);
      quad[i + 3] = _mm512_unpackhi_epi64(half[i + 1], half[i + 3]);
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) {
      const __m512i low01 = _mm512_shuffle_i32x4(quad[c], quad[4 + c], 0x88);   // lanes 0, 2
      const __m512i high01 = _mm512_shuffle_i32x4(quad[c], quad[4 + c], 0xdd);  // lanes 1, 3
      const __m512i low23 = _mm512_shuffle_i32x4(quad[8 + c], quad[12 + c], 0x88);
      const __m512i high23 = _mm512_shuffle_i32x4(quad[8 + c], quad[12 + c], 0xdd);
      row[c] = _mm512_castsi512_ps(_mm512_shuffle_i32x4(low01, low23, 0x88));
      row[4 + c] = _mm512_castsi512_ps(_mm512_shuffle_i32x4(high01, high23, 0x88));
      row[8 + c] = _mm512_castsi512_ps(_mm512_shuffle_i32x4(low01, low23, 0xdd));
      row[12 + c] = _mm512_castsi512_ps(_mm512_shuffle_i32x4(high01, high23, 0xdd));
    }
  }
};

}  // namespace
}  // namespace longspan::simd
