#pragma once

#include "src/nn/kernels/adamw_kernel.h"
#include "src/nn/kernels/cross_entropy_kernel.h"
#include "src/nn/kernels/int8_kernel.h"
#include "src/nn/kernels/nf4_kernel.h"
#include "src/nn/kernels/rms_norm_kernel.h"
#include "src/nn/kernels/row_product_kernel.h"
#include "src/nn/kernels/swiglu_kernel.h"

namespace longspan::elementwise {
namespace {

/// The kernels on the vectors of K, all of it in the file that includes this.
template <class K>
constexpr Kernels kernels_of() {
  return {.swiglu_forward = swiglu_forward<K>,
          .swiglu_backward = swiglu_backward<K>,
          .rms_norm_forward = rms_norm_forward<K>,
          .rms_norm_backward = rms_norm_backward<K>,
          .cross_entropy_rows = cross_entropy_rows<K>,
          .row_product = row_product<K>,
          .dequantize_nf4 = dequantize_nf4<K>,
          .dequantize_int8 = dequantize_int8<K>,
          .adamw_update = adamw_update<K>,
          .adamw_update_8bit = adamw_update_8bit<K>,
          .sum_of_squares = sum_of_squares<K>};
}

}  // namespace
}  // namespace longspan::elementwise
