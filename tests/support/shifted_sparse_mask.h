#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

namespace longspan {

/// What S2 lets a query see, group by group in the words of the paper, and all before it in the
/// first `full_heads` heads: visible [heads, query, key], bool.
inline at::Tensor shifted_sparse_mask(int64_t heads, int64_t seq_len, int64_t group,
                                      int64_t full_heads = 0) {
  at::Tensor visible = at::zeros({heads, seq_len, seq_len}, at::kBool);
  auto mask = visible.accessor<bool, 3>();
  for (int64_t h = 0; h < heads; ++h) {
    int64_t size = h < full_heads                              ? seq_len
                   : h - full_heads < (heads - full_heads) / 2 ? group
                                                               : group / 2;
    for (int64_t begin = 0; begin < seq_len; begin += size, size = group) {
      for (int64_t q = begin; q < std::min(begin + size, seq_len); ++q) {
        for (int64_t k = begin; k <= q; ++k) mask[h][q][k] = true;
      }
    }
  }
  return visible;
}

}  // namespace longspan
