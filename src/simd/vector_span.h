#pragma once

#include <cstddef>
#include <cstdint>

// One vector after another of an array of any length. In an unnamed namespace for the reason that
// vector_avx512.h gives.

namespace longspan::simd {
namespace {

/// All lanes of a vector of K (float_products.h, bf16_products.h).
template <class K>
struct AllLanes {
  template <class E>
  static auto load(const E* from) {
    return K::load(from);
  }
  template <class E>
  static void store(E* to, typename K::Vector x) {
    K::store(to, x);
  }
  static auto keep(typename K::Vector x) { return x; }
};

/// The first lanes: the others are zero, and neither read nor written.
template <class K>
struct FirstLanes {
  int64_t count;

  template <class E>
  auto load(const E* from) const {
    E lanes[K::kLanes] = {};
    __builtin_memcpy(lanes, from, static_cast<size_t>(count) * sizeof(E));
    return K::load(lanes);
  }
  template <class E>
  void store(E* to, typename K::Vector x) const {
    E lanes[K::kLanes];
    K::store(lanes, x);
    __builtin_memcpy(to, lanes, static_cast<size_t>(count) * sizeof(E));
  }
  /// x with zero in the other lanes.
  auto keep(typename K::Vector x) const { return K::keep(K::lanes(0, count), x); }
};

/// work(index of its first element, its lanes) for each vector of [begin, end).
template <class K, class Work>
inline __attribute__((always_inline)) void each_vector(int64_t begin, int64_t end, Work&& work) {
  int64_t i = begin;
  for (; i + K::kLanes <= end; i += K::kLanes) work(i, AllLanes<K>());
  if (i < end) work(i, FirstLanes<K>{end - i});
}

}  // namespace
}  // namespace longspan::simd
