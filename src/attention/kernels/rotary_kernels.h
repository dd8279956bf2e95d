#pragma once

#include <cstdint>

namespace at {
class Tensor;
}

namespace longspan::rotary {

/// Heads [B, H, T, 2 * half + rest], rows contiguous, of which dimension i turns with dimension
/// i + half through the angles whose cos and sin are given, and the rest stays. Strides count
/// elements.
struct HeadRows {
  const void* x;
  int64_t batch_stride, head_stride, token_stride;
  const void *cos, *sin;       // [B or 1, T, half], contiguous
  int64_t table_batch_stride;  // 0 where all of the batch share one table
  int64_t heads, tokens, half, rest;
  bool inverse;  // turns back
};

/// Rotates the tokens [begin, end) of all B * T into out [B, T, H, 2 * half + rest], in the type of
/// x with float32 arithmetic. rotary_kernel.h is built for each processor.
using RotateTokens = void (*)(const HeadRows& in, int64_t begin, int64_t end, void* out);

// By processor, and by the type of the tensors.
extern const RotateTokens kAvx2Float;
extern const RotateTokens kAvx2FloatOfBf16;
extern const RotateTokens kAvx512Float;
extern const RotateTokens kAvx512FloatOfBf16;
extern const RotateTokens kAvx512Bf16;  // with the instructions for bf16

/// The kernel for tensors like x on this processor; null when there is none.
const RotateTokens* kernel_for(const at::Tensor& x);

}  // namespace longspan::rotary
