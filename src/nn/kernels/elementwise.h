#pragma once

#include <cstdint>

#include "src/nn/kernels/adamw.h"

namespace at {
class Tensor;
}

namespace longspan::elementwise {

/// Rows x of [rows, size], which become (weight + weight_offset) * x * inverse_rms.
struct NormRows {
  const void* x;
  const void* weight;  // [size]
  float weight_offset;
  int64_t size;
};

/// The passes of a model between its matrix products, those that make quantised weights dense, and
/// the update of AdamW: plain pointers in, no tensors, no threads. Arrays are contiguous, of one
/// type and any length, and each pass does their elements, or rows, [begin, end); arithmetic is in
/// float32 and rounded once. One source each (swiglu_kernel.h, rms_norm_kernel.h,
/// cross_entropy_kernel.h, row_product_kernel.h, nf4_kernel.h, int8_kernel.h, adamw_kernel.h) is
/// built for each processor.
struct Kernels {
  /// out[i] = silu(gate[i]) * up[i]
  void (*swiglu_forward)(const void* gate, const void* up, int64_t begin, int64_t end, void* out);
  /// The gradients of gate and up.
  void (*swiglu_backward)(const void* grad, const void* gate, const void* up, int64_t begin,
                          int64_t end, void* grad_gate, void* grad_up);

  /// Writes inverse_rms [rows] too, for the backward.
  void (*rms_norm_forward)(const NormRows& in, float eps, int64_t begin, int64_t end, void* y,
                           float* inverse_rms);
  /// Writes grad_x and adds to grad_weight [size], which may be null.
  void (*rms_norm_backward)(const void* grad, const NormRows& in, const float* inverse_rms,
                            int64_t begin, int64_t end, void* grad_x, float* grad_weight);

  /// losses[row] = log(sum_v e^logits[row][v]) - logits[row][label], 0 in rows whose label is
  /// negative; logits [rows, size]. With `gradient` the logits become their own gradient, softmax -
  /// one_hot(label); 0 in rows whose label is negative. No label may exceed size - 1.
  void (*cross_entropy_rows)(void* logits, const int64_t* labels, int64_t rows, int64_t size,
                             bool gradient, float* losses);

  /// out[row] = the sum over k of x[k] * weight[row][k]; weight [rows, inner], inner a multiple of
  /// 32. Where there are instructions for bf16 the products are theirs.
  void (*row_product)(const void* x, const void* weight, int64_t inner, int64_t begin, int64_t end,
                      void* out);

  /// Blocks of 64 NF4 codes (32 bytes each) with their scales: out = codebook[code] * scale, the
  /// even element from the high half of a byte.
  void (*dequantize_nf4)(const uint8_t* codes, const float* scales, const float* codebook,
                         int64_t blocks, void* out);
  /// out[i] = codes[i] * scale
  void (*dequantize_int8)(const int8_t* codes, float scale, int64_t count, void* out);

  void (*adamw_update)(const AdamWCoefficients& coefficients, const AdamWWeight& weight,
                       float* exp_avg, float* exp_avg_sq, int64_t begin, int64_t end);
  /// `begin` is that of a block; the last block need not be full.
  void (*adamw_update_8bit)(const AdamWCoefficients& coefficients, const AdamWWeight& weight,
                            const BlockwiseMoment& exp_avg, const BlockwiseMoment& exp_avg_sq,
                            int64_t begin, int64_t end);
  /// In float64.
  double (*sum_of_squares)(const void* x, int64_t begin, int64_t end);
};

// By processor, and by the type of the tensors.
extern const Kernels kAvx2Float;
extern const Kernels kAvx2FloatOfBf16;
extern const Kernels kAvx512Float;
extern const Kernels kAvx512FloatOfBf16;
extern const Kernels kAvx512Bf16;  // with the instructions for bf16

/// The kernels for tensors like x on this processor; null when there are none.
const Kernels* kernels_for(const at::Tensor& x);

}  // namespace longspan::elementwise
