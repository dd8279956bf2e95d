#pragma once

#include <ATen/core/Tensor.h>

namespace longspan {

/// silu(gate) * up (Shazeer 2020), elementwise; gate and up have one shape and dtype. Arithmetic is
/// in float32 (float64 in float64), rounded once; one pass in bfloat16 and float32 on a CPU with
/// AVX2, and on CUDA. Differentiable once.
at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up);

}  // namespace longspan
