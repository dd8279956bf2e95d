#pragma once

#include <vector>

#include "src/attention/kernels/interval_attention.h"

namespace longspan {

/// Keys and values [R, Hkv, Tk, D] that parts of an attention take ranges of.
struct KeySource {
  at::Tensor k, v;
};

/// What some rows of queries see of a source.
struct KeyPart {
  size_t source = 0;
  int64_t first_row = 0;                // of the queries; as many rows as the source has
  int64_t first_key = 0, num_keys = 0;  // the range of the source
  VisibleKeys visible;                  // places in the range, of these rows' queries
};

/// Attention under one softmax over all parts, which have no keys in common. q [B, H, Tq, D] ->
/// [B, H, Tq, D]. The first part is of all rows, and each query sees a key of it. Backward goes
/// through each part with the output and the log-sum-exp of all of them, so that no part keeps its
/// own (as ring attention does; Liu et al. 2023, arXiv 2310.01889). `kept` is that of
/// interval_attention. Differentiable once in q and the sources.
at::Tensor joint_attention(const at::Tensor& q, const std::vector<KeySource>& sources,
                           const std::vector<KeyPart>& parts, AttentionResult* kept = nullptr);

}  // namespace longspan
