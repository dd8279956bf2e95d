#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace longspan {

/// Causal softmax attention in which each query sees one interval of keys. It is the one kernel
/// behind every pattern: full attention, the groups of shifted sparse attention, packed documents
/// and sliding windows differ only in `key_start`.
///
///   q          [B, H, Tq, D]   rotated queries
///   k, v       [B, Hkv, Tk, D] rotated keys and values; H is a multiple of Hkv, never repeated
///   key_start  [B, H, Tq] int32, contiguous; query i is the key position Tk - Tq + i and sees the
///              keys key_start[b, h, i] .. Tk - Tq + i, both included. Non-decreasing along Tq.
///   returns    [B, H, Tq, D], same dtype as q; scores are scaled by 1 / sqrt(D).
///
/// bfloat16 on a CPU with AVX-512 BF16 runs our own flash kernel (flash_attention.h), all else
/// (other dtypes, devices and processors, D not a multiple of 16 or above 256) runs LibTorch's
/// scaled_dot_product_attention per interval, and so does everything when the environment has
/// LONGSPAN_ATTENTION=sdpa. Differentiable once in q, k and v. The flash kernel gives the same bits
/// for the same number of threads. Shapes or an interval outside the keys throw c10::Error: they
/// are the caller's mistake.
at::Tensor causal_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const at::Tensor& key_start);

}  // namespace longspan
