#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace longspan {

/// What the backward of attention needs from its forward.
struct KeptAttention {
  at::Tensor out;          // [B, H, Tq, D], its memory [B, Tq, H, D]
  at::Tensor log_sum_exp;  // [B, H, Tq] float32, of the scaled scores
};

/// Causal softmax attention in which each query sees one interval of keys, and sinks before it when
/// there are any. It stands behind every pattern: full attention, the groups of shifted sparse
/// attention, packed documents and sliding windows differ only in what is visible.
///
///   q          [B, H, Tq, D]   rotated queries
///   k, v       [B, Hkv, Tk, D] rotated keys and values; H is a multiple of Hkv
///   key_start  [B, H, Tq] int32, contiguous; query i is the key position Tk - Tq + i and sees the
///              keys key_start[b, h, i] .. Tk - Tq + i, both included. Non-decreasing along Tq.
///   sinks      undefined, or [2, B, H, Tq] int32, contiguous: query i sees the keys from
///              sinks[0, b, h, i] to before sinks[1, b, h, i] too (none when that is no more),
///              which is at most key_start[b, h, i]. Both non-decreasing along Tq.
///   returns    [B, H, Tq, D], same dtype as q; scores are scaled by 1 / sqrt(D).
///
/// float32 and bfloat16 on a CPU with AVX2 or more run our own flash kernel (flash_attention.h). It
/// multiplies bfloat16 in bfloat16 where there is AVX-512 BF16, else in float32, and gives the same
/// bits for the same number of threads. LibTorch's flash attention (sdpa_flash.h) runs bfloat16 and
/// float16 on CUDA, and bfloat16 under LONGSPAN_CPU=amx, where every interval begins with its own
/// queries. LibTorch's scaled_dot_product_attention runs all else, interval by interval: other
/// dtypes, D not a multiple of 16 or above 256, LONGSPAN_CPU=none, windows and sinks on CUDA. It is
/// not flash for queries under an explicit mask, and gets keys and values repeated for heads that
/// differ in what they see, unless whole sets that share a key/value head see the same.
///
/// Differentiable once in q, k and v. Shapes that do not fit, or an interval outside the keys,
/// throw c10::Error: they are the caller's mistake.
///
/// A call without gradient mode leaves its result in `kept`, where that is given. A call with
/// gradient mode takes a result that it finds there instead of attending again: the operands must
/// be the same. Only the flash kernels keep a result; elsewhere `kept` stays empty.
at::Tensor causal_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const at::Tensor& key_start, KeptAttention* kept = nullptr,
                            const at::Tensor& sinks = {});

}  // namespace longspan
