#include "trainer/loss_weights.h"

#include <cmath>

#include "data/store/context_buckets.h"

namespace longspan {

void fields(FieldsIo& io, LossOptions& options) {
  io.choice("weights", options.weights, {"uniform", "effective_context"},
            "`effective_context`: tokens with much of their document before them count more, the "
            "rarer such a context is in the data the more (EXACT, arXiv:2605.10544)");
  io.number("alpha", options.alpha, {0, 100},
            "of `effective_context`: how much more the average bucket of the tail counts");
  io.number("gamma", options.gamma, {0, 10},
            "of `effective_context`: 0, all buckets of the tail alike; 1, as much more as they are "
            "rarer");
  io.whole("tail", options.tail, {0, int64_t{1} << 40},
           "of `effective_context`: tokens of context from which on a token counts more",
           {.otherwise = "a quarter of `seq_len`", .written = options.tail > 0});
}

std::vector<double> context_weights(const LossOptions& options, int64_t seq_len,
                                    const std::vector<int64_t>& places_by_context) {
  std::vector<double> weights(places_by_context.size(), 1.0);
  const int64_t tail = options.tail > 0 ? options.tail : seq_len / 4;
  size_t first = 0;
  while (first < weights.size() && (int64_t{1} << first) < tail) ++first;
  double total = 0, sum = 0, buckets = 0;
  for (size_t b = first; b < weights.size(); ++b)
    total += static_cast<double>(places_by_context[b]);
  std::vector<double> rarity(weights.size(), 0.0);
  for (size_t b = first; b < weights.size(); ++b) {
    if (places_by_context[b] == 0) continue;
    rarity[b] = std::pow(static_cast<double>(places_by_context[b]) / total + 1e-6, -options.gamma);
    sum += rarity[b];
    ++buckets;
  }
  for (size_t b = first; b < weights.size(); ++b) {
    if (rarity[b] > 0) weights[b] += options.alpha * rarity[b] / (sum / buckets);
  }
  return weights;
}

std::vector<float> token_weights(const Batch& batch, const std::vector<double>& context_weights) {
  std::vector<float> weights(batch.document_ids.size(), 1.0F);
  int64_t context = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    const bool begins = i % static_cast<size_t>(batch.seq_len) == 0 ||
                        batch.document_ids[i] != batch.document_ids[i - 1];
    context = begins ? 1 : context + 1;
    const auto bucket = static_cast<size_t>(context_bucket(context));
    if (bucket < context_weights.size()) weights[i] = static_cast<float>(context_weights[bucket]);
  }
  return weights;
}

}  // namespace longspan
