#pragma once

#include "src/simd/gemm_tile.h"

// The softmax of one row of scores in one block of keys.

namespace longspan::flash {
namespace {

using namespace simd;

/// Below every score of a model; 2^(scale * kHidden - max) is 0.
constexpr float kHidden = -1e30f;

/// Makes kHidden of the scores of `all` (multiples of two vectors) outside `visible`.
template <class K>
void hide_others(float* scores, Range all, Range visible) {
  constexpr int64_t lanes = K::kLanes;
  const auto hide = [&](int64_t c) {
    const auto kept = K::lanes(visible.begin - c, visible.end - c);
    K::store(scores + c, K::load(kept, scores + c, K::all(kHidden)));
  };
  for (int64_t c = all.begin; c < visible.begin; c += lanes) hide(c);
  for (int64_t c = round_down(visible.end, lanes); c < all.end; c += lanes) hide(c);
}

/// Of the columns `all` (multiples of two vectors).
template <class K>
float maximum(const float* scores, Range all) {
  constexpr int64_t lanes = K::kLanes;
  typename K::Vector low = K::load(scores + all.begin);
  typename K::Vector high = K::load(scores + all.begin + lanes);
  for (int64_t c = all.begin + 2 * lanes; c < all.end; c += 2 * lanes) {
    low = K::maximum(low, K::load(scores + c));
    high = K::maximum(high, K::load(scores + c + lanes));
  }
  return K::maximum(K::maximum(low, high));
}

/// weights[c] = 2^(scale * scores[c] - max) for the columns `all` (multiples of two vectors);
/// returns the sum.
template <class K>
float exponentiate(const float* scores, uint32_t* weights, Range all, float scale, float max) {
  constexpr int64_t lanes = K::kLanes;
  const typename K::Vector factor = K::all(scale), shift = K::all(max);
  typename K::Vector sum[2] = {K::zero(), K::zero()};
  for (int64_t c = all.begin; c < all.end; c += 2 * lanes) {
    const auto low = K::exp2(K::multiply_subtract(K::load(scores + c), factor, shift));
    const auto high = K::exp2(K::multiply_subtract(K::load(scores + c + lanes), factor, shift));
    sum[0] = K::add(sum[0], low);
    sum[1] = K::add(sum[1], high);
    K::store_operand(weights + c / K::kPair, low, high);
  }
  return K::sum(K::add(sum[0], sum[1]));
}

}  // namespace
}  // namespace longspan::flash
