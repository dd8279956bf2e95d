#pragma once

#include "src/simd/logarithms.h"

// The scores of a vector that a row sees; vector_span.h has the same names for all of them.

namespace longspan::flash {
namespace {

/// Below every score of a model; 2^(scale * kHidden - max) is 0.
constexpr float kHidden = -1e30f;

/// Some lanes of a vector: the others are kHidden, and not read.
template <class K>
struct VisibleLanes {
  typename K::Mask mask;

  auto load(const float* from) const { return K::load(mask, from, K::all(kHidden)); }
  auto keep(typename K::Vector x) const { return K::keep(mask, x); }
};

/// No lane.
template <class K>
struct HiddenLanes {
  static auto load(const float*) { return K::all(kHidden); }
  static auto keep(typename K::Vector) { return K::zero(); }
};

}  // namespace
}  // namespace longspan::flash
