#include "src/attention/key_starts.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <vector>

namespace longspan {

at::Tensor key_starts(const AttentionContext& context, int64_t rows, int64_t seq_len) {
  at::Tensor starts = at::zeros({rows, seq_len}, at::kInt);
  if (context.document_ids.defined()) {
    at::Tensor ids = context.document_ids.cpu().contiguous();
    starts = at::searchsorted(ids, ids, /*out_int32=*/true);
  }
  if (context.sliding_window == 0) return starts;
  // transformers' sliding_window_overlay: key > query - window.
  int64_t first = context.first_position + 1 - context.sliding_window;
  return at::maximum(starts, at::arange(first, first + seq_len, starts.options()));
}

at::Tensor of_each_head(const at::Tensor& x, int64_t heads) {
  std::vector<int64_t> sizes(x.sizes().begin(), x.sizes().end());
  sizes.insert(sizes.end() - 1, heads);
  return x.unsqueeze(-2).expand(sizes).contiguous();
}

VisibleKeys all_keys(const at::Tensor& q, int64_t keys) {
  const at::IntArrayRef each_query = q.sizes().slice(0, 3);
  return {.begin = at::zeros(each_query, at::kInt), .end = at::full(each_query, keys, at::kInt)};
}

int64_t pairs_within_window(int64_t seq_len, int64_t window) {
  int64_t short_rows = std::min(seq_len, window);
  return short_rows * (short_rows + 1) / 2 + (seq_len - short_rows) * window;
}

}  // namespace longspan
