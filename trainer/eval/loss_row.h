#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "src/core/fields.h"

namespace longspan {

/// What is scored of texts.
struct ScoredTokens {
  double nll_sum = 0;  // nats
  int64_t tokens = 0;
  int64_t bytes = 0;  // of their text
};

/// The loss of one model at one length, or in one bucket of positions.
struct LossRow {
  int64_t length = 0;
  double nll = 0;                              // nats a token, averaged as the task says
  std::optional<double> nll_standard_error{};  // over documents; none for one document
  double ppl = 0;                              // exp(nll)
  double bits_per_byte = 0;                    // sum of nll / (ln 2 x bytes of the scored tokens)
  int64_t tokens_scored = 0;
  std::vector<double> document_nll{};  // in the order of the protocol's documents
  /// Of each document in nll, of any unit: what was scored of it. Empty where all weigh alike.
  std::vector<double> document_weights{};
  double seconds = 0;

  /// By weight, for the intervals of nll and of differences (weighed() of statistics.h).
  std::vector<double> weighed_nll() const;

  Json write() const;
  void read(Fields& fields);
};

/// Without seconds. `nll` is the mean that the task shows, of all documents by their weights.
LossRow loss_row(int64_t length, double nll, std::vector<double> document_nll,
                 const ScoredTokens& scored, std::vector<double> document_weights = {});

}  // namespace longspan
