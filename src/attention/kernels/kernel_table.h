#pragma once

#include "src/attention/kernels/backward_kernel.h"
#include "src/attention/kernels/forward_kernel.h"
#include "src/attention/kernels/row_kernel.h"

namespace longspan::flash {
namespace {

using namespace simd;

/// The kernel on the vectors and products of K, all of it in the file that includes this.
template <class K>
constexpr Kernels kernels_of() {
  return {.pair = K::kPair,
          .pack_panels = pack_panels<K>,
          .pack_pairs = pack_pairs<K>,
          .forward_scratch_bytes = forward_scratch_bytes<K>,
          .forward_task = forward_task<K>,
          .row_task = row_task<K>,
          .backward_key_block = K::backward_keys,
          .backward_scratch_bytes = BackwardScratch<K>::bytes,
          .backward_task = backward_task<K>,
          .row_dot_products = row_dot_products<K>,
          .sum_grad_query = sum_grad_query<K>};
}

}  // namespace
}  // namespace longspan::flash
