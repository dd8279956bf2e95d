#pragma once

#include "src/simd/vector_avx512.h"
#include "src/simd/vector_bf16.h"

namespace longspan::simd {
namespace {

/// Products of bf16 by vdpbf16ps, which multiplies pairs and adds both products to one fp32.
struct Bf16Products : Avx512 {
  using Element = uint16_t;
  static constexpr int64_t kPair = 2;
  static constexpr int64_t kForwardKeys = 512;   // a block of the forward
  static constexpr int64_t kBackwardRows = 192;  // a block of the backward
  static constexpr int64_t backward_keys(int64_t head_dim) {
    return head_dim <= 64 ? 768 : head_dim <= 128 ? 576 : 192;
  }

  static Vector exp2(Vector x) { return exp2_of(x); }

  static Vector add_product(Vector sum, Vector left, Vector right) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(left),
                            reinterpret_cast<__m512bh>(right));
  }

  static void store(float* to, Vector x) { Avx512::store(to, x); }
  static void store(uint16_t* to, Vector x) { store_bf16(to, x); }

  static Vector load_operand(const uint16_t* from, int64_t count) {
    const Mask present = lanes(0, count);
    return _mm512_castsi512_ps(_mm512_maskz_loadu_epi32(present, from));
  }
  static void store_operand(uint32_t* to, Vector x) {
    Avx512::store(reinterpret_cast<float*>(to), x);
  }
  static void store_operand(uint32_t* to, Vector low, Vector high) {
    _mm512_storeu_si512(to, to_bf16(low, high));
  }

  /// Two rows as dwords of pairs, and as rows of their own.
  static void store_row_pair(uint32_t* to, int64_t, Vector row, Vector next) {
    // Lane 2n takes lane n of the first row, lane 2n + 1 that of the second.
    const __m512i interleave =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    const __m512i rows = to_bf16(row, next);
    _mm512_storeu_si512(to, _mm512_permutexvar_epi16(interleave, rows));
  }
  static void store_rows(uint32_t* to, int64_t stride, Vector row, Vector next) {
    const __m512i rows = to_bf16(row, next);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_castsi512_si256(rows));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + stride),
                        _mm512_extracti64x4_epi64(rows, 1));
  }

  static Vector load_pair(const uint16_t* row, const uint16_t* next) {
    const __m512i low = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)row));
    const __m512i high = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)next));
    return _mm512_castsi512_ps(_mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
  }
};

}  // namespace
}  // namespace longspan::simd
