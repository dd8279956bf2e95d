#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace longspan {

/// Attention's output, and what joins it with that over other keys (merge_attention.h).
struct AttentionResult {
  at::Tensor out;          // [B, H, Tq, D], its memory [B, Tq, H, D]
  at::Tensor log_sum_exp;  // [B, H, Tq] float32 (float64 of float64), of the scaled scores
};

/// Of the loss by q, k and v.
struct AttentionGradients {
  at::Tensor q, k, v;
};

/// The keys that each query sees, as their places among all Tk keys: one interval, and sinks before
/// it. int32, contiguous, none of them decreasing along Tq.
struct VisibleKeys {
  at::Tensor begin;       // [B, H, Tq]
  at::Tensor end = {};    // [B, H, Tq], past the last. Undefined: query i is the key Tk - Tq + i,
                          // and that is the last it sees
  at::Tensor sinks = {};  // [2, B, H, Tq]: begin and end, which is at most the interval's begin.
                          // Undefined: none
};

/// Softmax attention in which each query sees one interval of keys, and sinks before it when there
/// are any. It stands behind every pattern: full attention, the groups of shifted sparse attention,
/// packed documents and sliding windows differ only in what is visible.
///
///   q        [B, H, Tq, D]   rotated queries
///   k, v     [B, Hkv, Tk, D] rotated keys and values; H is a multiple of Hkv
///   visible  begin to before end, and the sinks. An interval that ends at its query holds a key;
///            one with an end of its own may be empty.
///   returns  [B, H, Tq, D], same dtype as q; scores are scaled by 1 / sqrt(D). A query that sees
///            nothing gets 0.
///
/// float32 and bfloat16 on a CPU with AVX2 or more run our own flash kernel (flash_attention.h). It
/// multiplies bfloat16 in bfloat16 where there is AVX-512 BF16, else in float32, and gives the same
/// bits for the same number of threads. LibTorch's flash attention (sdpa_flash.h) runs bfloat16 and
/// float16 on CUDA, and bfloat16 under LONGSPAN_CPU=amx, where every interval begins with its own
/// queries. LibTorch's scaled_dot_product_attention (sdpa_attention.h) runs all else, interval by
/// interval: other dtypes, D not a multiple of 16 or above 256, LONGSPAN_CPU=none, windows and
/// sinks on CUDA. Intervals with an end of their own make their scores there
/// (explicit_attention.h).
///
/// Differentiable once in q, k and v. Shapes that do not fit, or an interval outside the keys,
/// throw c10::Error: they are the caller's mistake.
///
/// A call without gradient mode leaves its result in `kept`, where that is given. A call with
/// gradient mode takes a result that it finds there instead of attending again: the operands must
/// be the same. Only the flash kernels keep a result; elsewhere `kept` stays empty.
at::Tensor interval_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              const VisibleKeys& visible, AttentionResult* kept = nullptr);

/// The same over a part of the keys that a query sees, with the log-sum-exp that merge() needs:
/// -infinity for a query that sees nothing here. Both are differentiable once in q, k and v. What
/// has no flash kernel makes its scores.
AttentionResult partial_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const VisibleKeys& visible);

/// Its gradients in q, k and v where the softmax is over more keys than these: `all` is attention
/// over all that a query sees. The gradients in q of all parts add up to that of the whole.
AttentionGradients partial_attention_backward(const at::Tensor& grad_out, const at::Tensor& q,
                                              const at::Tensor& k, const at::Tensor& v,
                                              const VisibleKeys& visible,
                                              const AttentionResult& all);

}  // namespace longspan
