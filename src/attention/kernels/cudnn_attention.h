#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>

#include "src/attention/kernels/flash_attention.h"

namespace longspan {

/// Whether cuDNN's kernel is to compute causal attention of these operands, q [B, H, T, D] and k
/// [B, Hkv, T, D] on CUDA. It is asked on compute capability 9.0 and later, for lengths of which a
/// program has few (multiples of 128 from 2,048 on, as cuDNN builds a graph for each), unless
/// LibTorch is told to keep away from it or to be deterministic. Then both kernels run on a few
/// heads of this kind, and the one that takes less time forward and backward is named in the log
/// and kept until the program ends.
bool cudnn_attention_is_faster(const at::Tensor& q, const at::Tensor& k);

AttentionResult cudnn_attention_forward(const at::Tensor& q, const at::Tensor& k,
                                        const at::Tensor& v);
AttentionGradients cudnn_attention_backward(const at::Tensor& grad_out, const at::Tensor& q,
                                            const at::Tensor& k, const at::Tensor& v,
                                            const AttentionResult& forward);

/// The same, or nothing where cuDNN refuses operands of this length: the log says so, and heads of
/// this kind are FlashAttention-2's from then on, whose backward takes what either made.
std::optional<AttentionResult> try_cudnn_forward(const at::Tensor& q, const at::Tensor& k,
                                                 const at::Tensor& v);
std::optional<AttentionGradients> try_cudnn_backward(const at::Tensor& grad_out,
                                                     const at::Tensor& q, const at::Tensor& k,
                                                     const at::Tensor& v,
                                                     const AttentionResult& forward);

/// Forward and backward seconds of one kernel, and of the other.
struct AttentionTimes {
  double forward = 0, backward = 0;

  double total() const { return forward + backward; }
};

/// What the log says: "attention of 32 heads of 128 on 8 key/value heads: cuDNN's kernel, 500 and
/// 400 TFLOP/s forward and backward, for FlashAttention-2's 370 and 300". `tflop` is that of a
/// forward pass.
std::string describe_attention_choice(const at::Tensor& q, const at::Tensor& k, double tflop,
                                      const AttentionTimes& flash2, const AttentionTimes& cudnn);

}  // namespace longspan
