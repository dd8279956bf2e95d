#include "trainer/document_score.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <limits>

#include "trainer/loss.h"

namespace longspan {

namespace {

/// The passages of a document: where each begins in it, and its places.
std::vector<std::pair<int64_t, int64_t>> passages_of(const StoredDocument& document,
                                                     const DocumentScoreOptions& options) {
  const int64_t places = document.tokens - 1;
  const int64_t all = (places + options.length - 1) / options.length;
  const int64_t count = options.passages > 0 ? std::min(options.passages, all) : all;
  std::vector<std::pair<int64_t, int64_t>> passages;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t begin = i * all / count * options.length;
    passages.emplace_back(begin, std::min(options.length, places - begin));
  }
  return passages;
}

/// `places` of the store from `offset` on, as a row of one document.
Batch passage_at(const TokenStore& store, int64_t offset, int64_t places) {
  Batch batch;
  batch.rows = 1;
  batch.seq_len = places;
  const std::vector<int32_t> ids = store.read(offset, places + 1);
  batch.input_ids.assign(ids.begin(), ids.end() - 1);
  batch.labels.assign(ids.begin() + 1, ids.end());
  batch.document_ids.assign(static_cast<size_t>(places), 0);
  for (int64_t t = 0; t < places; ++t) batch.position_ids.push_back(t);
  if (!store.info().all_labels) {
    const auto is_label = store.read_is_label(offset + 1, places);
    for (size_t t = 0; t < is_label.size(); ++t) {
      if (is_label[t] == 0) batch.labels[t] = kNoLabel;
    }
  }
  batch.labelled_tokens = places - std::count(batch.labels.begin(), batch.labels.end(), kNoLabel);
  return batch;
}

}  // namespace

DocumentScore score_document(CausalLm& model, const TokenStore& store,
                             const StoredDocument& document, const DocumentScoreOptions& options) {
  at::NoGradGuard no_gradients;
  DocumentScore found;
  double sum = 0;
  for (const auto& [begin, places] : passages_of(document, options)) {
    const Batch batch = passage_at(store, document.offset + begin, places);
    found.predicted += batch.labelled_tokens;
    const auto windows = short_windows(places, options.short_context);
    if (windows.empty()) continue;
    const at::Tensor by_near =
        short_context_losses(model, batch, options.short_context, options.loss_chunk_tokens)
            .to(at::kDouble);
    const at::Tensor has_far = by_near.isnan().logical_not();
    const at::Tensor losses = token_losses(model, batch, options.loss_chunk_tokens).to(at::kDouble);
    const at::Tensor gain = (by_near - losses) * (-losses).exp();
    const at::Tensor is_label = at::tensor(batch.labels, at::kLong).ne(kNoLabel);
    const int64_t with_far = has_far.logical_and(is_label).sum().item<int64_t>();
    // A model whose losses are not finite gives no score: what is far of it would count as near.
    const auto labels_far = is_label.slice(0, windows.front().first).sum().item<int64_t>();
    const bool is_finite = losses.isfinite().all().item<bool>() && with_far == labels_far;
    sum += is_finite ? gain.masked_select(has_far).sum().item<double>()
                     : std::numeric_limits<double>::quiet_NaN();
    found.with_far += with_far;
  }
  if (found.predicted > 0) found.score = sum / static_cast<double>(found.predicted);
  return found;
}

}  // namespace longspan
