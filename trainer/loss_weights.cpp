#include "trainer/loss_weights.h"

#include <cmath>

#include "data/store/context_buckets.h"

namespace longspan {

void fields(FieldsIo& io, LossOptions& options) {
  io.choice("weights", options.weights, {"uniform", "effective_context", "long_minus_short"},
            "`effective_context`: tokens with much of their document before them count more, the "
            "rarer such a context is in the data the more (EXACT, arXiv:2605.10544); "
            "`long_minus_short`: tokens of which the whole context tells more than a short one "
            "count more (LongCE, arXiv:2410.23771)");
  io.number("alpha", options.alpha, {0, 100},
            "of `effective_context`: how much more the average bucket of the tail counts");
  io.number("gamma", options.gamma, {0, 10},
            "of `effective_context`: 0, all buckets of the tail alike; 1, as much more as they are "
            "rarer");
  io.whole(
      "tail", options.tail, {0, int64_t{1} << 40},
      "of `effective_context`: tokens of context from which on a token counts more, the next power "
      "of two where it is none",
      {.otherwise = "a quarter of `seq_len`", .written = options.tail > 0});
  const bool is_short = options.long_minus_short() || !io.writing();
  io.whole("short_context", options.short_context.tokens, {1, kLongestShortContext},
           "of `long_minus_short`: tokens of the short context", {.written = is_short});
  io.whole("short_step", options.short_context.step, {1, kLongestShortContext},
           "of `long_minus_short`: a window is read for so many tokens, the last of which have as "
           "much more of context",
           {.written = is_short});
  io.number("max_weight", options.max_weight, {1, 1e6}, "of `long_minus_short`: the largest weight",
            {.written = is_short});
  io.prose(
      "With `long_minus_short` a token weighs exp(its loss with a short context - its loss), no "
      "more than `max_weight`. Those that have no more than `short_context` + `short_step` - 1 "
      "tokens of their document before them weigh 1. The short context is a window that is read by "
      "itself, without gradients and with the attention of the stage. In all that are forward "
      "passes over `short_context` / `short_step` + 1 times the tokens, 5 times by default; with a "
      "step as long as the context, twice.");
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
    context = begins ? 0 : context + 1;
    const auto bucket = static_cast<size_t>(context_bucket(context));
    if (bucket < context_weights.size()) weights[i] = static_cast<float>(context_weights[bucket]);
  }
  return weights;
}

}  // namespace longspan
