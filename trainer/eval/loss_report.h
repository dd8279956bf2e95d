#pragma once

#include <string>
#include <vector>

#include "trainer/eval/loss_row.h"
#include "trainer/eval/rows.h"
#include "trainer/figures/svg_chart.h"

namespace longspan {

using LossCurve = ModelRows<LossRow>;

/// The words of one task.
struct LossWords {
  std::string axis;    // "context (tokens)"
  std::string losses;  // "Loss in nats a token of the same 1,536 tokens of 3 documents"
  std::string figure;  // what the curves are, in a sentence
};

/// Loss, paired differences to models[reference], perplexity and bits per byte, a line a model.
std::vector<Table> loss_tables(const LossWords& words, const std::vector<LossCurve>& models,
                               size_t reference);

/// Where more context stops lowering the loss of each model (see effective_length.h); nothing of
/// fewer than two lengths.
EffectiveLengths falling_losses(const std::vector<LossCurve>& models);

/// The curves; enlarged once more where one that falls apart flattens the others.
std::vector<Figure> loss_figures(const LossWords& words, const std::vector<LossCurve>& models);

}  // namespace longspan
