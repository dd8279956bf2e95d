#pragma once

#include "src/nn/kernels/elementwise.h"
#include "src/simd/vector_span.h"

namespace longspan::elementwise {
namespace {

using namespace simd;

/// An update of the elements of one vector; arithmetic in float32.
template <class K>
struct AdamW {
  using Vector = typename K::Vector;

  explicit AdamW(const AdamWCoefficients& c)
      : beta2(K::all(c.beta2)),
        rest1(K::all(1 - c.beta1)),
        rest2(K::all(1 - c.beta2)),
        eps(K::all(c.eps)),
        decay(K::all(c.decay)),
        step_size(K::all(-c.step_size)),
        correction(K::all(1 / c.bias_correction2_sqrt)),
        gradient_scale(K::all(c.gradient_scale)) {}

  /// The new moments of the elements `lanes` from i on; writes their masters and parameters.
  template <class Lanes>
  void update(const AdamWWeight& weight, int64_t i, Lanes lanes, Vector& exp_avg,
              Vector& exp_avg_sq) const {
    const auto* gradient = static_cast<const typename K::Element*>(weight.gradient) + i;
    const Vector g = K::multiply(lanes.load(gradient), gradient_scale);
    exp_avg = K::multiply_add(K::subtract(g, exp_avg), rest1, exp_avg);
    exp_avg_sq = K::multiply_add(K::multiply(g, g), rest2, K::multiply(exp_avg_sq, beta2));
    const Vector denominator = K::multiply_add(K::square_root(exp_avg_sq), correction, eps);
    const Vector master = K::multiply_add(step_size, K::divide(exp_avg, denominator),
                                          K::multiply(lanes.load(weight.master + i), decay));
    lanes.store(weight.master + i, master);
    if (weight.parameter != nullptr) lanes.store(weight.parameter + i, master);
  }

  const Vector beta2, rest1, rest2, eps, decay, step_size, correction, gradient_scale;
};

template <class K>
void adamw_update(const AdamWCoefficients& coefficients, const AdamWWeight& weight, float* exp_avg,
                  float* exp_avg_sq, int64_t begin, int64_t end) {
  const AdamW<K> adamw(coefficients);
  each_vector<K>(begin, end, [&](int64_t i, auto lanes) {
    auto m = lanes.load(exp_avg + i), v = lanes.load(exp_avg_sq + i);
    adamw.update(weight, i, lanes, m, v);
    lanes.store(exp_avg + i, m);
    lanes.store(exp_avg_sq + i, v);
  });
}

/// A block of a moment, decoded; what is behind the last element means nothing.
struct DecodedBlock {
  float values[BlockwiseMoment::kBlock];
  uint8_t codes[BlockwiseMoment::kBlock];
};

template <class K>
inline void decode(const BlockwiseMoment& moment, int64_t begin, int64_t count,
                   DecodedBlock& block) {
  constexpr int64_t kBlock = BlockwiseMoment::kBlock;
  __builtin_memset(block.codes, 0, sizeof block.codes);
  __builtin_memcpy(block.codes, moment.codes + begin, static_cast<size_t>(count));
  const auto absmax = K::all(moment.absmax[begin / kBlock]);
  for (int64_t i = 0; i < kBlock; i += K::kLanes) {
    K::store(block.values + i, K::multiply(K::look_up(moment.map, block.codes + i), absmax));
  }
}

/// Writes the codes and the scale, which is the largest magnitude.
template <class K>
inline void encode(DecodedBlock& block, typename K::Vector largest, int64_t begin, int64_t count,
                   const BlockwiseMoment& moment) {
  constexpr int64_t kBlock = BlockwiseMoment::kBlock;
  const float absmax = K::maximum(largest);
  const auto inverse = K::all(1.0f / (absmax > 1e-38f ? absmax : 1e-38f));
  for (int64_t i = 0; i < kBlock; i += K::kLanes) {
    const auto value = K::multiply(K::load(block.values + i), inverse);
    K::count_below(*moment.bounds, value, block.codes + i);
  }
  __builtin_memcpy(moment.codes + begin, block.codes, static_cast<size_t>(count));
  moment.absmax[begin / kBlock] = absmax;
}

template <class K>
void adamw_update_8bit(const AdamWCoefficients& coefficients, const AdamWWeight& weight,
                       const BlockwiseMoment& exp_avg, const BlockwiseMoment& exp_avg_sq,
                       int64_t begin, int64_t end) {
  constexpr int64_t kBlock = BlockwiseMoment::kBlock;
  const AdamW<K> adamw(coefficients);
  for (int64_t first = begin; first < end; first += kBlock) {
    const int64_t last = first + kBlock < end ? first + kBlock : end;
    DecodedBlock m_block, v_block;
    decode<K>(exp_avg, first, last - first, m_block);
    decode<K>(exp_avg_sq, first, last - first, v_block);
    auto m_largest = K::zero(), v_largest = K::zero();
    each_vector<K>(first, last, [&](int64_t i, auto lanes) {
      float* m_value = m_block.values + (i - first);
      float* v_value = v_block.values + (i - first);
      auto m = K::load(m_value), v = K::load(v_value);
      adamw.update(weight, i, lanes, m, v);
      K::store(m_value, m);
      K::store(v_value, v);
      m = lanes.keep(m);
      m_largest = K::maximum(m_largest, K::maximum(m, K::subtract(K::zero(), m)));
      v_largest = K::maximum(v_largest, lanes.keep(v));
    });
    encode<K>(m_block, m_largest, first, last - first, exp_avg);
    encode<K>(v_block, v_largest, first, last - first, exp_avg_sq);
  }
}

template <class K>
double sum_of_squares(const void* x, int64_t begin, int64_t end) {
  double sums[K::kLanes] = {};
  each_vector<K>(begin, end, [&](int64_t i, auto lanes) {
    float values[K::kLanes];
    K::store(values, lanes.load(static_cast<const typename K::Element*>(x) + i));
    for (int64_t lane = 0; lane < K::kLanes; ++lane) {
      const double value = values[lane];
      sums[lane] += value * value;
    }
  });
  double sum = 0;
  for (double lane : sums) sum += lane;
  return sum;
}

}  // namespace
}  // namespace longspan::elementwise
