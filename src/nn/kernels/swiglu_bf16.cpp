#include "src/attention/kernels/vector_bf16.h"
#include "src/nn/kernels/elementwise_bf16.h"

namespace longspan::bf16 {

namespace {

/// 1 / (1 + e^-x); at |x| beyond 128 the exponential is 0 or infinite, and the result exact.
inline __m512 sigmoid(__m512 x) {
  const __m512 one = _mm512_set1_ps(1.0f);
  return _mm512_div_ps(one, _mm512_add_ps(one, exp2_of(_mm512_mul_ps(x, _mm512_set1_ps(-kLog2E)))));
}

}  // namespace

void swiglu_forward(const uint16_t* gate, const uint16_t* up, int64_t count, uint16_t* out) {
  for (int64_t i = 0; i < count; i += 16) {
    const __mmask16 lanes = first_lanes(count - i);
    const __m512 g = from_bf16(gate + i, lanes), u = from_bf16(up + i, lanes);
    store_bf16(out + i, _mm512_mul_ps(_mm512_mul_ps(g, sigmoid(g)), u), lanes);
  }
}

void swiglu_backward(const uint16_t* grad, const uint16_t* gate, const uint16_t* up, int64_t count,
                     uint16_t* grad_gate, uint16_t* grad_up) {
  const __m512 one = _mm512_set1_ps(1.0f);
  for (int64_t i = 0; i < count; i += 16) {
    const __mmask16 lanes = first_lanes(count - i);
    const __m512 d = from_bf16(grad + i, lanes), g = from_bf16(gate + i, lanes);
    const __m512 u = from_bf16(up + i, lanes), s = sigmoid(g), silu = _mm512_mul_ps(g, s);
    // silu'(g) = s (1 + g (1 - s)) = s + silu(g) (1 - s)
    const __m512 slope = _mm512_fmadd_ps(silu, _mm512_sub_ps(one, s), s);
    store_bf16(grad_gate + i, _mm512_mul_ps(_mm512_mul_ps(d, u), slope), lanes);
    store_bf16(grad_up + i, _mm512_mul_ps(d, silu), lanes);
  }
}

}  // namespace longspan::bf16
