#pragma once

#include <ATen/core/Tensor.h>

namespace longspan {

/// For each token the index of the first token of its document: [B, T] int32. document_ids [B, T]
/// non-decreasing, or undefined when a row is one document (then all zero).
at::Tensor document_starts(const at::Tensor& document_ids, int64_t rows, int64_t seq_len);

}  // namespace longspan
