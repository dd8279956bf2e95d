#include "src/nn/kernels/adamw_bf16.h"

#include "src/attention/kernels/vector_bf16.h"

namespace longspan::bf16 {

namespace {

__m512 load(const float* from, __mmask16 lanes) { return _mm512_maskz_loadu_ps(lanes, from); }
__m512 load(const uint16_t* from, __mmask16 lanes) { return from_bf16(from, lanes); }

struct Coefficients {
  explicit Coefficients(const AdamWCoefficients& c)
      : beta2(_mm512_set1_ps(c.beta2)),
        rest1(_mm512_set1_ps(1 - c.beta1)),
        rest2(_mm512_set1_ps(1 - c.beta2)),
        eps(_mm512_set1_ps(c.eps)),
        decay(_mm512_set1_ps(c.decay)),
        step_size(_mm512_set1_ps(c.step_size)),
        correction(_mm512_set1_ps(1 / c.bias_correction2_sqrt)),
        gradient_scale(_mm512_set1_ps(c.gradient_scale)) {}

  const __m512 beta2, rest1, rest2, eps, decay, step_size, correction, gradient_scale;
};

/// The new moments of 16 elements, and their new masters.
inline __m512 update(const Coefficients& c, __m512 gradient, __m512 master, __m512& exp_avg,
                     __m512& exp_avg_sq) {
  const __m512 g = _mm512_mul_ps(gradient, c.gradient_scale);
  exp_avg = _mm512_fmadd_ps(_mm512_sub_ps(g, exp_avg), c.rest1, exp_avg);
  exp_avg_sq = _mm512_fmadd_ps(_mm512_mul_ps(g, g), c.rest2, _mm512_mul_ps(exp_avg_sq, c.beta2));
  const __m512 denominator = _mm512_fmadd_ps(_mm512_sqrt_ps(exp_avg_sq), c.correction, c.eps);
  return _mm512_fnmadd_ps(c.step_size, _mm512_div_ps(exp_avg, denominator),
                          _mm512_mul_ps(master, c.decay));
}

inline void store_weight(float* master, uint16_t* parameter, int64_t i, __m512 weight,
                         __mmask16 lanes) {
  _mm512_mask_storeu_ps(master + i, lanes, weight);
  if (parameter != nullptr) store_bf16(parameter + i, weight, lanes);
}

inline __m512 decode(const BlockwiseMoment& moment, int64_t i, __m512 absmax, __mmask16 lanes) {
  const __m512i codes = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(lanes, moment.codes + i));
  return _mm512_mul_ps(_mm512_i32gather_ps(codes, moment.map, 4), absmax);
}

/// The codes of values in [-1, 1], within one: the map has 2^e (without a sign 2^(e+1)) steps of
/// equal size from 10^(e-7) to 10^(e-6), e = 0 .. 6.
inline __m512i guess_codes(__m512 values, bool has_sign) {
  const __m512 slopes =
      _mm512_setr_ps(1e6f / 0.9f, 2e5f / 0.9f, 4e4f / 0.9f, 8e3f / 0.9f, 1.6e3f / 0.9f,
                     3.2e2f / 0.9f, 64 / 0.9f, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  const __m512 starts = _mm512_setr_ps(8 / 9.f, 16 / 9.f, 32 / 9.f, 64 / 9.f, 128 / 9.f, 256 / 9.f,
                                       512 / 9.f, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  const __m512 magnitudes = _mm512_abs_ps(values);
  __m512i e = _mm512_setzero_si512();
  const float powers[] = {1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f};
  for (float power : powers) {
    e = _mm512_mask_add_epi32(e, _mm512_cmp_ps_mask(magnitudes, _mm512_set1_ps(power), _CMP_GT_OQ),
                              e, _mm512_set1_epi32(1));
  }
  const __m512 steps = _mm512_fmadd_ps(magnitudes, _mm512_permutexvar_ps(e, slopes),
                                       _mm512_permutexvar_ps(e, starts));
  if (!has_sign) {
    const __m512i code = _mm512_cvttps_epi32(_mm512_add_ps(steps, steps));
    return _mm512_sub_epi32(code, _mm512_set1_epi32(1));
  }
  const __m512i code = _mm512_cvttps_epi32(steps), zero = _mm512_set1_epi32(127);
  const __mmask16 negative = _mm512_cmp_ps_mask(values, _mm512_setzero_ps(), _CMP_LT_OQ);
  return _mm512_mask_sub_epi32(_mm512_add_epi32(zero, code), negative, zero, code);
}

/// The codes of up to 256 values, of which `absmax` is the largest magnitude.
inline void encode(const float* values, int64_t count, const BlockwiseMoment& moment) {
  const float largest = *moment.absmax;
  const __m512 inverse = _mm512_set1_ps(1.0f / (largest > 1e-38f ? largest : 1e-38f));
  const __m512i one = _mm512_set1_epi32(1), last = _mm512_set1_epi32(255);
  for (int64_t i = 0; i < count; i += 16) {
    const __mmask16 lanes = first_lanes(count - i);
    const __m512 value = _mm512_mul_ps(load(values + i, lanes), inverse);
    __m512i code = guess_codes(value, moment.has_sign);
    code = _mm512_min_epi32(_mm512_max_epi32(code, _mm512_setzero_si512()), last);
    const __m512 low = _mm512_i32gather_ps(code, moment.bounds, 4);
    const __m512 high = _mm512_i32gather_ps(code, moment.bounds + 1, 4);
    code = _mm512_mask_sub_epi32(code, _mm512_cmp_ps_mask(value, low, _CMP_LE_OQ), code, one);
    code = _mm512_mask_add_epi32(code, _mm512_cmp_ps_mask(value, high, _CMP_GT_OQ), code, one);
    _mm_mask_storeu_epi8(moment.codes + i, lanes, _mm512_cvtepi32_epi8(code));
  }
}

template <class Gradient>
void update_block(const Coefficients& c, const Gradient* gradient, int64_t count,
                  const BlockwiseMoment& exp_avg, const BlockwiseMoment& exp_avg_sq, float* master,
                  uint16_t* parameter) {
  alignas(64) float m_values[BlockwiseMoment::kBlock], v_values[BlockwiseMoment::kBlock];
  const __m512 m_absmax = _mm512_set1_ps(*exp_avg.absmax);
  const __m512 v_absmax = _mm512_set1_ps(*exp_avg_sq.absmax);
  __m512 m_largest = _mm512_setzero_ps(), v_largest = _mm512_setzero_ps();
  for (int64_t i = 0; i < count; i += 16) {
    const __mmask16 lanes = first_lanes(count - i);
    __m512 m = decode(exp_avg, i, m_absmax, lanes), v = decode(exp_avg_sq, i, v_absmax, lanes);
    const __m512 weight = update(c, load(gradient + i, lanes), load(master + i, lanes), m, v);
    store_weight(master, parameter, i, weight, lanes);
    _mm512_store_ps(m_values + i, m);
    _mm512_store_ps(v_values + i, v);
    m_largest = _mm512_mask_max_ps(m_largest, lanes, m_largest, _mm512_abs_ps(m));
    v_largest = _mm512_mask_max_ps(v_largest, lanes, v_largest, v);
  }
  *exp_avg.absmax = _mm512_reduce_max_ps(m_largest);
  *exp_avg_sq.absmax = _mm512_reduce_max_ps(v_largest);
  encode(m_values, count, exp_avg);
  encode(v_values, count, exp_avg_sq);
}

BlockwiseMoment from_block(const BlockwiseMoment& moment, int64_t block) {
  return {moment.codes + block * BlockwiseMoment::kBlock, moment.absmax + block, moment.map,
          moment.bounds, moment.has_sign};
}

}  // namespace

template <class Gradient>
void adamw_update(const AdamWCoefficients& coefficients, const Gradient* gradient, int64_t count,
                  float* exp_avg, float* exp_avg_sq, float* master, uint16_t* parameter) {
  const Coefficients c(coefficients);
  for (int64_t i = 0; i < count; i += 16) {
    const __mmask16 lanes = first_lanes(count - i);
    __m512 m = load(exp_avg + i, lanes), v = load(exp_avg_sq + i, lanes);
    const __m512 weight = update(c, load(gradient + i, lanes), load(master + i, lanes), m, v);
    store_weight(master, parameter, i, weight, lanes);
    _mm512_mask_storeu_ps(exp_avg + i, lanes, m);
    _mm512_mask_storeu_ps(exp_avg_sq + i, lanes, v);
  }
}

template <class Gradient>
void adamw_update(const AdamWCoefficients& coefficients, const Gradient* gradient, int64_t count,
                  const BlockwiseMoment& exp_avg, const BlockwiseMoment& exp_avg_sq, float* master,
                  uint16_t* parameter) {
  constexpr int64_t kBlock = BlockwiseMoment::kBlock;
  const Coefficients c(coefficients);
  for (int64_t i = 0; i < count; i += kBlock) {
    update_block(c, gradient + i, count - i < kBlock ? count - i : kBlock,
                 from_block(exp_avg, i / kBlock), from_block(exp_avg_sq, i / kBlock), master + i,
                 parameter == nullptr ? nullptr : parameter + i);
  }
}

template <class Gradient>
double sum_of_squares(const Gradient* gradient, int64_t count) {
  __m512d low = _mm512_setzero_pd(), high = _mm512_setzero_pd();
  for (int64_t i = 0; i < count; i += 16) {
    const __m512 value = load(gradient + i, first_lanes(count - i));
    const __m512d first = _mm512_cvtps_pd(_mm512_castps512_ps256(value));
    const __m512d second = _mm512_cvtps_pd(_mm512_maskz_extractf32x8_ps(0xff, value, 1));
    low = _mm512_fmadd_pd(first, first, low);
    high = _mm512_fmadd_pd(second, second, high);
  }
  double sums[8], sum = 0;
  _mm512_storeu_pd(sums, _mm512_add_pd(low, high));
  for (double lane : sums) sum += lane;
  return sum;
}

template void adamw_update(const AdamWCoefficients&, const float*, int64_t, float*, float*, float*,
                           uint16_t*);
template void adamw_update(const AdamWCoefficients&, const uint16_t*, int64_t, float*, float*,
                           float*, uint16_t*);
template void adamw_update(const AdamWCoefficients&, const float*, int64_t, const BlockwiseMoment&,
                           const BlockwiseMoment&, float*, uint16_t*);
template void adamw_update(const AdamWCoefficients&, const uint16_t*, int64_t,
                           const BlockwiseMoment&, const BlockwiseMoment&, float*, uint16_t*);
template double sum_of_squares(const float*, int64_t);
template double sum_of_squares(const uint16_t*, int64_t);

}  // namespace longspan::bf16
