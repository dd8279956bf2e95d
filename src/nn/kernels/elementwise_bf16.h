#pragma once

#include <cstdint>

namespace longspan::bf16 {

// The passes of a layer between its matrix products, in bf16 with float32 arithmetic: plain
// pointers in, no tensors, no threads. Arrays are contiguous and of any length.

/// out[i] = silu(gate[i]) * up[i]
void swiglu_forward(const uint16_t* gate, const uint16_t* up, int64_t count, uint16_t* out);
/// The gradients of gate and up; grad_gate may be gate and grad_up may be up.
void swiglu_backward(const uint16_t* grad, const uint16_t* gate, const uint16_t* up, int64_t count,
                     uint16_t* grad_gate, uint16_t* grad_up);

/// y = weight * x * inverse_rms, row by row of [rows, size]; inverse_rms [rows] is kept for the
/// backward.
void rms_norm_forward(const uint16_t* x, const uint16_t* weight, int64_t rows, int64_t size,
                      float eps, uint16_t* y, float* inverse_rms);
/// Writes grad_x and adds to grad_weight [size], which may be null.
void rms_norm_backward(const uint16_t* grad, const uint16_t* x, const uint16_t* weight,
                       const float* inverse_rms, int64_t rows, int64_t size, uint16_t* grad_x,
                       float* grad_weight);

}  // namespace longspan::bf16
