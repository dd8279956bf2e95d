#include "src/attention/document_starts.h"

#include <ATen/ops/searchsorted.h>
#include <ATen/ops/zeros.h>

namespace longspan {

at::Tensor document_starts(const at::Tensor& document_ids, int64_t rows, int64_t seq_len) {
  if (!document_ids.defined()) return at::zeros({rows, seq_len}, at::kInt);
  at::Tensor ids = document_ids.contiguous();
  return at::searchsorted(ids, ids, /*out_int32=*/true);
}

}  // namespace longspan
