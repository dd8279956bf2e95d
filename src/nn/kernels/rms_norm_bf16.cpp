#include "src/attention/kernels/vector_bf16.h"
#include "src/nn/kernels/elementwise_bf16.h"

namespace longspan::bf16 {

void rms_norm_forward(const uint16_t* x, const uint16_t* weight, int64_t rows, int64_t size,
                      float eps, uint16_t* y, float* inverse_rms) {
  for (int64_t row = 0; row < rows; ++row, x += size, y += size) {
    __m512 squares = _mm512_setzero_ps();
    for (int64_t i = 0; i < size; i += 16) {
      const __m512 value = from_bf16(x + i, first_lanes(size - i));
      squares = _mm512_fmadd_ps(value, value, squares);
    }
    const float mean = _mm512_reduce_add_ps(squares) / static_cast<float>(size);
    inverse_rms[row] = 1.0f / __builtin_sqrtf(mean + eps);
    const __m512 scale = _mm512_set1_ps(inverse_rms[row]);
    for (int64_t i = 0; i < size; i += 16) {
      const __mmask16 lanes = first_lanes(size - i);
      const __m512 normed = _mm512_mul_ps(from_bf16(x + i, lanes), scale);
      store_bf16(y + i, _mm512_mul_ps(normed, from_bf16(weight + i, lanes)), lanes);
    }
  }
}

void rms_norm_backward(const uint16_t* grad, const uint16_t* x, const uint16_t* weight,
                       const float* inverse_rms, int64_t rows, int64_t size, uint16_t* grad_x,
                       float* grad_weight) {
  for (int64_t row = 0; row < rows; ++row, x += size, grad += size, grad_x += size) {
    const __m512 scale = _mm512_set1_ps(inverse_rms[row]);
    __m512 products = _mm512_setzero_ps();  // of the gradient of x * scale with x
    for (int64_t i = 0; i < size; i += 16) {
      const __mmask16 lanes = first_lanes(size - i);
      const __m512 value = from_bf16(x + i, lanes), g = from_bf16(grad + i, lanes);
      products = _mm512_fmadd_ps(_mm512_mul_ps(g, from_bf16(weight + i, lanes)), value, products);
      if (grad_weight != nullptr) {
        const __m512 sum = _mm512_maskz_loadu_ps(lanes, grad_weight + i);
        _mm512_mask_storeu_ps(grad_weight + i, lanes,
                              _mm512_fmadd_ps(g, _mm512_mul_ps(value, scale), sum));
      }
    }
    // grad_x = scale (grad weight - x scale^2 mean(grad weight x))
    const float mean = _mm512_reduce_add_ps(products) / static_cast<float>(size);
    const __m512 along = _mm512_set1_ps(mean * inverse_rms[row] * inverse_rms[row]);
    for (int64_t i = 0; i < size; i += 16) {
      const __mmask16 lanes = first_lanes(size - i);
      const __m512 g = _mm512_mul_ps(from_bf16(grad + i, lanes), from_bf16(weight + i, lanes));
      const __m512 across = _mm512_fnmadd_ps(from_bf16(x + i, lanes), along, g);
      store_bf16(grad_x + i, _mm512_mul_ps(across, scale), lanes);
    }
  }
}

}  // namespace longspan::bf16
