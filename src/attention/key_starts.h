#pragma once

#include "src/attention/attention.h"

namespace longspan {

/// For each token of a pass the first key that its document and the sliding window let it see:
/// [B, T] int32, on the CPU. `past` keys of earlier passes come before the first token; with
/// document_ids there must be none.
at::Tensor key_starts(const AttentionContext& context, int64_t rows, int64_t seq_len,
                      int64_t past = 0);

}  // namespace longspan
