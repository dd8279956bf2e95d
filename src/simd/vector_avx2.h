#pragma once

#include <cstdint>

#include "src/simd/intrinsics.h"

// The vectors of our kernels on AVX2 with FMA: the names of vector_avx512.h, for its
// reasons in an unnamed namespace and only for files built for such a processor.

namespace longspan::simd {
namespace {

struct Avx2 {
  using Vector = __m256;
  using Mask = __m256i;  // all bits of a lane, or none
  static constexpr int64_t kLanes = 8;
  static constexpr int64_t kTileVectors = 2;  // 6 x 2 accumulators of the 16 registers

  static Vector zero() { return _mm256_setzero_ps(); }
  static Vector all(float x) { return _mm256_set1_ps(x); }
  static Vector add(Vector a, Vector b) { return _mm256_add_ps(a, b); }
  static Vector subtract(Vector a, Vector b) { return _mm256_sub_ps(a, b); }
  static Vector multiply(Vector a, Vector b) { return _mm256_mul_ps(a, b); }
  static Vector divide(Vector a, Vector b) { return _mm256_div_ps(a, b); }
  static Vector minimum(Vector a, Vector b) { return _mm256_min_ps(a, b); }
  static Vector maximum(Vector a, Vector b) { return _mm256_max_ps(a, b); }
  static Vector multiply_add(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); }
  static Vector multiply_subtract(Vector a, Vector b, Vector c) { return _mm256_fmsub_ps(a, b, c); }
  static Vector square_root(Vector x) { return _mm256_sqrt_ps(x); }
  static Vector round(Vector x) {
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  /// x * 2^n of whole n <= 128; 0 where n < -126, whose results would be denormal.
  static Vector scale(Vector x, Vector n) {
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    const Vector power = _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
    const Vector normal = _mm256_cmp_ps(n, _mm256_set1_ps(-126), _CMP_NLT_UQ);
    return _mm256_and_ps(_mm256_mul_ps(x, power), normal);
  }
  static float sum(Vector x) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
  }
  static float maximum(Vector x) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
  }

  static Vector load(const float* from) { return _mm256_loadu_ps(from); }
  static void store(float* to, Vector x) { _mm256_storeu_ps(to, x); }
  static Vector load(const uint16_t* bf16) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bf16));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }
  static Vector load(const int8_t* from) {
    const __m128i eight = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(eight));
  }
  /// To nearest even; NaN stays NaN.
  static void store(uint16_t* bf16, Vector x) {
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    rounded = _mm256_blendv_epi8(rounded, _mm256_set1_epi32(0x7fc00000), nan);
    rounded = _mm256_srli_epi32(rounded, 16);
    _mm_storeu_si128(
        reinterpret_cast<__m128i*>(bf16),
        _mm_packus_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1)));
  }

  /// The lanes l with begin <= l < end; both may lie outside the vector.
  static Mask lanes(int64_t begin, int64_t end) {
    const int first = begin < 0 ? 0 : begin > 8 ? 8 : static_cast<int>(begin);
    const int last = end < 0 ? 0 : end > 8 ? 8 : static_cast<int>(end);
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(first), lane),
                               _mm256_cmpgt_epi32(_mm256_set1_epi32(last), lane));
  }
  /// The lanes outside the mask are those of `other`, and not read.
  static Vector load(Mask mask, const float* from, Vector other) {
    return _mm256_blendv_ps(other, _mm256_maskload_ps(from, mask), _mm256_castsi256_ps(mask));
  }
  static Vector keep(Mask mask, Vector x) { return _mm256_and_ps(x, _mm256_castsi256_ps(mask)); }

  static Vector broadcast(const uint32_t* dword) {
    return _mm256_castsi256_ps(_mm256_set1_epi32(static_cast<int>(*dword)));
  }

  /// table[index], of 256 values.
  static Vector look_up(const float* table, const uint8_t* index) {
    const __m128i eight = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(index));
    return _mm256_i32gather_ps(table, _mm256_cvtepu8_epi32(eight), 4);
  }
  /// How many of the bounds are below x (see BoundTable).
  template <class BoundTable>
  static void count_below(const BoundTable& table, Vector x, uint8_t* counts) {
    const __m256i bits = _mm256_castps_si256(x), least = _mm256_set1_epi32(table.kLeastBits);
    __m256i bucket = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(0x7fff));
    bucket = _mm256_sub_epi32(_mm256_max_epi32(bucket, least), least);
    bucket = _mm256_min_epi32(bucket, _mm256_set1_epi32(table.kBuckets - 1));
    const __m256i negative = _mm256_srai_epi32(bits, 31);
    bucket =
        _mm256_add_epi32(bucket, _mm256_and_si256(negative, _mm256_set1_epi32(table.kBuckets)));
    __m256i count = _mm256_and_si256(
        _mm256_i32gather_epi32(reinterpret_cast<const int*>(table.below), bucket, 1),
        _mm256_set1_epi32(0xff));
    const Vector below = _mm256_cmp_ps(_mm256_i32gather_ps(table.bounds, count, 4), x, _CMP_LT_OQ);
    count = _mm256_sub_epi32(count, _mm256_castps_si256(below));
    const __m128i words =
        _mm_packus_epi32(_mm256_castsi256_si128(count), _mm256_extracti128_si256(count, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(counts), _mm_packus_epi16(words, words));
  }

  /// Transposes 8 x 8 dwords, in three rounds of interleaving: dwords, qwords, halves.
  static void transpose(Vector (&row)[8]) {
    Vector quad[8];
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
      const Vector low01 = _mm256_unpacklo_ps(row[i], row[i + 1]);
      const Vector high01 = _mm256_unpackhi_ps(row[i], row[i + 1]);
      const Vector low23 = _mm256_unpacklo_ps(row[i + 2], row[i + 3]);
      const Vector high23 = _mm256_unpackhi_ps(row[i + 2], row[i + 3]);
      // quad[i + c]: dwords c and 4 + c of the source rows i .. i + 3.
      quad[i] = _mm256_shuffle_ps(low01, low23, 0x44);
      quad[i + 1] = _mm256_shuffle_ps(low01, low23, 0xee);
      quad[i + 2] = _mm256_shuffle_ps(high01, high23, 0x44);
      quad[i + 3] = _mm256_shuffle_ps(high01, high23, 0xee);
    }
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) {
      row[c] = _mm256_permute2f128_ps(quad[c], quad[4 + c], 0x20);
      row[4 + c] = _mm256_permute2f128_ps(quad[c], quad[4 + c], 0x31);
    }
  }
};

}  // namespace
}  // namespace longspan::simd
