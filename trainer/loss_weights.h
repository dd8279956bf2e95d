#pragma once

#include <string>
#include <vector>

#include "data/store/batch.h"
#include "src/core/fields_io.h"
#include "trainer/short_context.h"

namespace longspan {

/// How much the tokens of a text count in the loss that is trained. What is reported and validated
/// is the plain mean.
struct LossOptions {
  // Or "effective_context": EXACT (arXiv:2605.10544); "long_minus_short": LongCE
  // (arXiv:2410.23771).
  std::string weights = "uniform";
  // Of effective_context:
  double alpha = 0.15;  // how much more the average bucket of the tail counts
  double gamma = 0.5;   // 0: all buckets of the tail alike; 1: as much more as they are rarer
  int64_t tail = 0;     // tokens of context from which on a token counts more; 0: seq_len / 4
  // Of long_minus_short:
  ShortContext short_context = {};
  double max_weight = 5;

  bool uniform() const { return weights == "uniform"; }
  bool long_minus_short() const { return weights == "long_minus_short"; }
};

/// The keys of a recipe's `loss`.
void fields(FieldsIo& io, LossOptions& options);

/// By bucket of context (data/store/context_buckets.h) what a token of it weighs, given how many
/// there are in each. The tail is the buckets whose first context is `tail` (of 0: seq_len / 4) or
/// longer. With q_b = the share of bucket b in the tail, r_b = (q_b + 1e-6)^-gamma and r the mean
/// of r_b over the buckets of the tail that hold tokens, b of the tail weighs 1 + alpha r_b / r;
/// all other buckets weigh 1.
std::vector<double> context_weights(const LossOptions& options, int64_t seq_len,
                                    const std::vector<int64_t>& places_by_context);

/// A weight a token of the batch, [rows x seq_len].
std::vector<float> token_weights(const Batch& batch, const std::vector<double>& context_weights);

}  // namespace longspan
