#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "trainer/eval/eval_task.h"
#include "trainer/eval/rows.h"
#include "trainer/eval/tasks/retrieval_row.h"

namespace longspan {

using RetrievalRows = ModelRows<RetrievalRow>;

/// The words of one task.
struct RetrievalWords {
  std::string_view scores;       // "Needles found", what a score is the share of
  std::string_view depth;        // "depth of the needle"
  bool knows_each_score = true;  // rows have them in the order drawn, so that they can be paired
  bool lengths_compare = true;   // all lengths ask the same: there is an effective one
};

/// Score, loss, recall, effective length and paired differences by length, a line a model; scores
/// by depth where there is one model, by subset where there are subsets. Differences are to
/// models[reference].
std::vector<Table> retrieval_tables(const RetrievalWords& words,
                                    const std::vector<RetrievalRows>& models, size_t reference);

/// The longest length of each model up to which its score is kept (effective_length.h).
EffectiveLengths effective_lengths(const RetrievalWords& words,
                                   const std::vector<RetrievalRows>& models);

/// A heat map a model of length and depth; none where no row has a depth.
std::vector<Figure> retrieval_figures(const RetrievalWords& words,
                                      const std::vector<RetrievalRows>& models);

}  // namespace longspan
