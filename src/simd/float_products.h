#pragma once

#include <cstdint>

// Products and exponentials of float32, on the vectors V of vector_avx512.h or
// vector_avx2.h and for tensors of E (float, or uint16_t for bf16). bf16_products.h has the same
// names. In an unnamed namespace for the reason that vector_avx512.h gives.

namespace longspan::simd {
namespace {

template <class V, class E>
struct FloatProducts : V {
  using typename V::Vector;
  using Element = E;
  static constexpr int64_t kPair = 1;
  static constexpr int64_t kForwardKeys = 512;   // a block of the forward
  static constexpr int64_t kBackwardRows = 192;  // a block of the backward
  static constexpr int64_t backward_keys(int64_t head_dim) { return head_dim <= 128 ? 384 : 192; }

  /// 2^x for x <= 128, where it is infinite: x = n + f with |f| <= 1/2, a polynomial of degree 6
  /// through the Chebyshev nodes for 2^f (relative error 1e-8), and a scaling by 2^n.
  static Vector exp2(Vector x) {
    const Vector n = V::round(x);
    const Vector f = V::subtract(x, n);
    Vector p = V::all(1.545316336e-04f);
    p = V::multiply_add(p, f, V::all(1.339086331e-03f));
    p = V::multiply_add(p, f, V::all(9.618083015e-03f));
    p = V::multiply_add(p, f, V::all(5.550356954e-02f));
    p = V::multiply_add(p, f, V::all(2.402265072e-01f));
    p = V::multiply_add(p, f, V::all(6.931471825e-01f));
    p = V::multiply_add(p, f, V::all(1.0f));
    return V::scale(p, n);
  }

  /// sum + left * right, each lane a dword.
  static Vector add_product(Vector sum, Vector left, Vector right) {
    return V::multiply_add(left, right, sum);
  }

  /// The first `count` dwords of an operand's row, or as many as a vector holds.
  static Vector load_operand(const E* from, int64_t) { return V::load(from); }
  static void store_operand(uint32_t* to, Vector x) { V::store(reinterpret_cast<float*>(to), x); }

  /// Two neighbouring vectors of a row, as operand.
  static void store_operand(uint32_t* to, Vector low, Vector high) {
    store_operand(to, low);
    store_operand(to + V::kLanes, high);
  }

  /// Two rows, `stride` dwords apart.
  static void store_row_pair(uint32_t* to, int64_t stride, Vector row, Vector next) {
    store_operand(to, row);
    store_operand(to + stride, next);
  }

  /// One vector of `kPair` rows, as dwords of `pairs`.
  static Vector load_pair(const E* row, const E*) { return V::load(row); }
};

}  // namespace
}  // namespace longspan::simd
