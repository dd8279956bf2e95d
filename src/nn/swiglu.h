#pragma once

#include <ATen/core/Tensor.h>

namespace longspan {

/// silu(gate) * up (Shazeer 2020), elementwise; gate and up have one shape. bfloat16 on a CPU with
/// AVX-512 BF16 is one pass with float32 arithmetic, rounded once; all else is LibTorch's silu and
/// mul. Differentiable once.
at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up);

}  // namespace longspan
