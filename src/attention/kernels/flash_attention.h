#pragma once

#include <ATen/core/Tensor.h>

namespace longspan {

/// True when flash_forward takes these operands: bfloat16 on a CPU with AVX512-BF16, head_dim a
/// multiple of 16 of at most 256.
bool flash_attention_supports(const at::Tensor& q);

struct FlashOutput {
  at::Tensor out;          // [B, H, Tq, D], its memory [B, Tq, H, D]
  at::Tensor log_sum_exp;  // [B, H, Tq] float32, of the scaled scores
};

/// The arguments and the result of causal_attention, without checks and without autograd.
FlashOutput flash_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                          const at::Tensor& key_start);

struct FlashGradients {
  at::Tensor q, k, v;
};

FlashGradients flash_backward(const at::Tensor& grad_out, const at::Tensor& q, const at::Tensor& k,
                              const at::Tensor& v, const at::Tensor& key_start,
                              const FlashOutput& forward);

}  // namespace longspan
