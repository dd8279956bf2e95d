#pragma once

#include "src/nn/kernels/elementwise.h"
#include "src/simd/logarithms.h"
#include "src/simd/vector_span.h"

namespace longspan::elementwise {
namespace {

using namespace simd;

/// 1 / (1 + e^-x)
template <class K>
inline typename K::Vector sigmoid(typename K::Vector x) {
  const auto one = K::all(1.0f);
  // 2^128 is infinite: the result is exactly 0 from there on.
  const auto power = K::minimum(K::multiply(x, K::all(-kLog2E)), K::all(128.0f));
  return K::divide(one, K::add(one, K::exp2(power)));
}

template <class K>
void swiglu_forward(const void* gate, const void* up, int64_t begin, int64_t end, void* out) {
  using E = typename K::Element;
  each_vector<K>(begin, end, [&](int64_t i, auto lanes) {
    const auto g = lanes.load(static_cast<const E*>(gate) + i);
    const auto u = lanes.load(static_cast<const E*>(up) + i);
    lanes.store(static_cast<E*>(out) + i, K::multiply(K::multiply(g, sigmoid<K>(g)), u));
  });
}

template <class K>
void swiglu_backward(const void* grad, const void* gate, const void* up, int64_t begin, int64_t end,
                     void* grad_gate, void* grad_up) {
  using E = typename K::Element;
  const auto one = K::all(1.0f);
  each_vector<K>(begin, end, [&](int64_t i, auto lanes) {
    const auto d = lanes.load(static_cast<const E*>(grad) + i);
    const auto g = lanes.load(static_cast<const E*>(gate) + i);
    const auto u = lanes.load(static_cast<const E*>(up) + i);
    const auto s = sigmoid<K>(g), silu = K::multiply(g, s);
    // silu'(g) = s (1 + g (1 - s)) = s + silu(g) (1 - s)
    const auto slope = K::multiply_add(silu, K::subtract(one, s), s);
    lanes.store(static_cast<E*>(grad_gate) + i, K::multiply(K::multiply(d, u), slope));
    lanes.store(static_cast<E*>(grad_up) + i, K::multiply(d, silu));
  });
}

}  // namespace
}  // namespace longspan::elementwise
