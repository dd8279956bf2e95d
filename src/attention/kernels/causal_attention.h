#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace longspan {

/// What the backward of attention wants of its forward.
struct KeptAttention {
  at::Tensor out;          // [B, H, Tq, D], its memory [B, Tq, H, D]
  at::Tensor log_sum_exp;  // [B, H, Tq] float32, of the scaled scores
};

/// Causal softmax attention in which each query sees one interval of keys, and sinks before it when
/// there are any. It is the one kernel behind every pattern: full attention, the groups of shifted
/// sparse attention, packed documents and sliding windows differ only in what is visible.
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
/// float32 and bfloat16 on a CPU with AVX2 or more run our own flash kernel (flash_attention.h):
/// bfloat16 multiplies in bfloat16 where there is AVX-512 BF16, else in float32. bfloat16 on a CPU
/// with AMX, and bfloat16 and float16 on CUDA, run LibTorch's flash attention where every interval
/// begins with its own queries (sdpa_flash.h). All else (other dtypes, D not a multiple of 16 or
/// above 256, LONGSPAN_CPU=none, windows and sinks on CUDA) runs LibTorch's
/// scaled_dot_product_attention per interval; a block of queries under an explicit mask is not
/// flash there. Only on this last path are keys and values repeated: where heads differ in what
/// they see, for those that see the same unless they are whole sets of the query heads that share a
/// key/value head. Differentiable once in q, k and v. Our flash kernel gives the same bits for the
/// same number of threads. Shapes or an interval outside the keys throw c10::Error: they are the
/// caller's mistake.
///
/// With `kept` a call without gradient mode leaves its result there, and a call with gradient mode
/// that finds one takes it over instead of attending again: the operands must be the same. Only
/// the flash kernels keep; elsewhere `kept` stays empty.
at::Tensor causal_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const at::Tensor& key_start, KeptAttention* kept = nullptr,
                            const at::Tensor& sinks = {});

}  // namespace longspan
