#pragma once

#include "src/nn/kernels/elementwise.h"
#include "src/simd/vector_span.h"

namespace longspan::elementwise {
namespace {

using namespace simd;

template <class K>
void dequantize_int8(const int8_t* codes, float scale, int64_t count, void* out) {
  auto* to = static_cast<typename K::Element*>(out);
  each_vector<K>(0, count, [&](int64_t i, auto lanes) {
    lanes.store(to + i, K::multiply(lanes.load(codes + i), K::all(scale)));
  });
}

}  // namespace
}  // namespace longspan::elementwise
