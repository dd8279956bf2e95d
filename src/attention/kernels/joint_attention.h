#pragma once

#include <vector>

#include "src/attention/kernels/interval_attention.h"

namespace longspan {

/// Keys that the queries of some rows see, and their values: R rows from `first_row` on.
struct KeyPart {
  int64_t first_row = 0;
  at::Tensor k, v;      // [R, Hkv, Tk, D]
  VisibleKeys visible;  // of the queries of these rows; with an end where Tk is another number
};

/// Attention under one softmax over all parts, which have no keys in common. q [B, H, Tq, D] ->
/// [B, H, Tq, D]. The first part is of all rows, and each query sees a key of it. Backward goes
/// through each part with the output and the log-sum-exp of all of them, so that no part keeps its
/// own (as ring attention does; Liu et al. 2023, arXiv 2310.01889). `kept` is that of
/// interval_attention. Differentiable once in q and the keys and values.
at::Tensor joint_attention(const at::Tensor& q, const std::vector<KeyPart>& parts,
                           AttentionResult* kept = nullptr);

}  // namespace longspan
