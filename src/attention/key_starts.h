#pragma once

#include "src/attention/attention.h"

namespace longspan {

/// For each token of a pass the first key that its document and the sliding window let it see:
/// [B, T] int32, on the CPU. With document_ids there must be no keys of earlier passes.
at::Tensor key_starts(const AttentionContext& context, int64_t rows, int64_t seq_len);

/// [.., B, T] -> [.., B, H, T], contiguous: the same for each of the heads.
at::Tensor of_each_head(const at::Tensor& x, int64_t heads);

/// All of `keys` keys, for queries q [B, H, T, D].
VisibleKeys all_keys(const at::Tensor& q, int64_t keys);

/// Query-key pairs of one document of seq_len tokens whose queries see the last `window` keys.
int64_t pairs_within_window(int64_t seq_len, int64_t window);

}  // namespace longspan
