#pragma once

#include "src/nn/kernels/elementwise.h"
#include "src/simd/vector_span.h"

namespace longspan::elementwise {
namespace {

using namespace simd;

template <class K>
void rms_norm_forward(const NormRows& in, float eps, int64_t begin, int64_t end, void* y,
                      float* inverse_rms) {
  using E = typename K::Element;
  const E* weight = static_cast<const E*>(in.weight);
  const auto offset = K::all(in.weight_offset);
  for (int64_t row = begin; row < end; ++row) {
    const E* x = static_cast<const E*>(in.x) + row * in.size;
    E* to = static_cast<E*>(y) + row * in.size;
    auto squares = K::zero();
    each_vector<K>(0, in.size, [&](int64_t i, auto lanes) {
      const auto value = lanes.load(x + i);
      squares = K::multiply_add(value, value, squares);
    });
    const float mean = K::sum(squares) / static_cast<float>(in.size);
    inverse_rms[row] = 1.0f / __builtin_sqrtf(mean + eps);
    const auto scale = K::all(inverse_rms[row]);
    each_vector<K>(0, in.size, [&](int64_t i, auto lanes) {
      const auto normed = K::multiply(lanes.load(x + i), scale);
      lanes.store(to + i, K::multiply(normed, K::add(lanes.load(weight + i), offset)));
    });
  }
}

template <class K>
void rms_norm_backward(const void* grad, const NormRows& in, const float* inverse_rms,
                       int64_t begin, int64_t end, void* grad_x, float* grad_weight) {
  using E = typename K::Element;
  const E* weight = static_cast<const E*>(in.weight);
  const auto offset = K::all(in.weight_offset);
  for (int64_t row = begin; row < end; ++row) {
    const E* x = static_cast<const E*>(in.x) + row * in.size;
    const E* from = static_cast<const E*>(grad) + row * in.size;
    E* to = static_cast<E*>(grad_x) + row * in.size;
    const auto scale = K::all(inverse_rms[row]);
    auto products = K::zero();  // of the gradient of x * scale with x
    each_vector<K>(0, in.size, [&](int64_t i, auto lanes) {
      const auto value = lanes.load(x + i), g = lanes.load(from + i);
      const auto w = K::add(lanes.load(weight + i), offset);
      products = K::multiply_add(K::multiply(g, w), value, products);
      if (grad_weight == nullptr) return;
      const auto sum = lanes.load(grad_weight + i);
      lanes.store(grad_weight + i, K::multiply_add(g, K::multiply(value, scale), sum));
    });
    // grad_x = scale (grad weight - x scale^2 mean(grad weight x))
    const float mean = K::sum(products) / static_cast<float>(in.size);
    const auto along = K::all(-mean * inverse_rms[row] * inverse_rms[row]);
    each_vector<K>(0, in.size, [&](int64_t i, auto lanes) {
      const auto w = K::add(lanes.load(weight + i), offset);
      const auto g = K::multiply(lanes.load(from + i), w);
      const auto across = K::multiply_add(lanes.load(x + i), along, g);
      lanes.store(to + i, K::multiply(across, scale));
    });
  }
}

}  // namespace
}  // namespace longspan::elementwise
