#pragma once

#include <cstdint>

#include "src/simd/intrinsics.h"
#include "src/simd/logarithms.h"

// Vectors of 16 floats from and to bf16.
//
// Included by *_bf16.cpp only. All of it is in an unnamed namespace: a function which the linker
// may share with other files would carry AVX-512 to processors without it. For the same reason
// these files use no inline function of the standard library.

namespace longspan::simd {
namespace {

/// 2^x, infinite from x = 128 on: a polynomial of degree 4 for 2^f of the fraction f in [0, 1), 1
/// at 0 and else of the least relative error (3.0e-6, far below bf16), and a scaling by 2^floor(x),
/// which vscalefps finds itself.
inline __m512 exp2_of(__m512 x) {
  const __m512 f = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  __m512 p = _mm512_set1_ps(1.342668477e-02f);
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.224247277e-02f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.412801981e-01f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.930448413e-01f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(p, x);
}

/// 32 bf16: the 16 of `low`, then the 16 of `high`.
inline __m512i to_bf16(__m512 low, __m512 high) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}

inline __m256i to_bf16(__m512 values) {
  return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(values));
}

inline void store_bf16(uint16_t* to, __m512 values) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), to_bf16(values));
}

}  // namespace
}  // namespace longspan::simd
