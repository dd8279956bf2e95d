#include "src/attention/kernels/softmax_bf16.h"

// Passes over whole rows, before and after the blocks of the backward.

namespace longspan::bf16 {

void row_dot_products(Rows a, Rows b, int64_t head_dim, int64_t begin, int64_t end, float* delta) {
  for (int64_t row = begin; row < end; ++row) {
    __m512 sum = _mm512_setzero_ps();
    for (int64_t d = 0; d < head_dim; d += 16) {
      sum = _mm512_fmadd_ps(from_bf16(a.data + row * a.stride + d),
                            from_bf16(b.data + row * b.stride + d), sum);
    }
    delta[row] = _mm512_reduce_add_ps(sum);
  }
}

void sum_grad_query(const GradQuery* parts, int64_t part_stride, int64_t num_parts,
                    int64_t head_dim, float scale, int64_t begin, int64_t end, MutableRows to) {
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t d = 0; d < head_dim; d += 16) {
      __m512 sum = _mm512_setzero_ps();
      for (int64_t i = 0; i < num_parts; ++i) {
        const GradQuery& part = parts[i * part_stride];
        if (row < part.row_begin || row >= part.row_end) continue;
        const float* share = part.data + (row - part.row_begin) * head_dim + d;
        sum = _mm512_add_ps(sum, _mm512_loadu_ps(share));
      }
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to.data + row * to.stride + d),
                          to_bf16(_mm512_mul_ps(sum, _mm512_set1_ps(scale))));
    }
  }
}

}  // namespace longspan::bf16
