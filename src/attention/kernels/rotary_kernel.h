#pragma once

#include "src/attention/kernels/rotary_kernels.h"
#include "src/simd/vector_span.h"

namespace longspan::rotary {
namespace {

using namespace simd;

template <class K>
void rotate_tokens(const HeadRows& in, int64_t begin, int64_t end, void* out) {
  using E = typename K::Element;
  const int64_t size = 2 * in.half + in.rest;
  const auto sign = K::all(in.inverse ? -1.0f : 1.0f);
  for (int64_t token = begin; token < end; ++token) {
    const int64_t b = token / in.tokens, t = token % in.tokens;
    const E* x = static_cast<const E*>(in.x) + b * in.batch_stride + t * in.token_stride;
    const int64_t table = b * in.table_batch_stride + t * in.half;
    const E* cos = static_cast<const E*>(in.cos) + table;
    const E* sin = static_cast<const E*>(in.sin) + table;
    E* y = static_cast<E*>(out) + token * in.heads * size;
    each_vector<K>(0, in.half, [&](int64_t i, auto lanes) {
      const auto c = lanes.load(cos + i), s = K::multiply(lanes.load(sin + i), sign);
      const auto minus_s = K::subtract(K::zero(), s);
      for (int64_t head = 0; head < in.heads; ++head) {
        const E* from = x + head * in.head_stride + i;
        E* to = y + head * size + i;
        const auto low = lanes.load(from), high = lanes.load(from + in.half);
        lanes.store(to, K::multiply_add(high, minus_s, K::multiply(low, c)));
        lanes.store(to + in.half, K::multiply_add(low, s, K::multiply(high, c)));
      }
    });
    for (int64_t head = 0; head < in.heads; ++head) {
      __builtin_memcpy(y + head * size + 2 * in.half, x + head * in.head_stride + 2 * in.half,
                       static_cast<size_t>(in.rest) * sizeof(E));
    }
  }
}

}  // namespace
}  // namespace longspan::rotary
