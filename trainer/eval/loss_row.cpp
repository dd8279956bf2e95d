#include "trainer/eval/loss_row.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "trainer/eval/statistics.h"

namespace longspan {

LossRow loss_row(int64_t length, double nll, std::vector<double> document_nll,
                 const ScoredTokens& scored, std::vector<double> document_weights) {
  LossRow row{.length = length,
              .nll = nll,
              .ppl = std::exp(nll),
              .tokens_scored = scored.tokens,
              .document_nll = std::move(document_nll),
              .document_weights = std::move(document_weights)};
  row.nll_standard_error = standard_error(row.weighed_nll());
  row.bits_per_byte = scored.nll_sum / (std::numbers::ln2 * static_cast<double>(scored.bytes));
  return row;
}

std::vector<double> LossRow::weighed_nll() const { return weighed(document_nll, document_weights); }

Json LossRow::write() const {
  std::optional<Interval> interval = mean_interval(weighed_nll());
  if (interval) interval->low = std::max(0.0, interval->low);  // no loss is below
  Json row = {
      {"length", length},
      {"n", document_nll.size()},
      {"nll", nll},
      {"low", interval ? Json(interval->low) : Json(nullptr)},
      {"high", interval ? Json(interval->high) : Json(nullptr)},
      {"nll_standard_error", nll_standard_error ? Json(*nll_standard_error) : Json(nullptr)},
      {"ppl", ppl},
      {"bits_per_byte", bits_per_byte},
      {"tokens_scored", tokens_scored},
      {"documents", document_nll.size()},
      {"document_nll", document_nll},
      {"seconds", seconds}};
  if (!document_weights.empty()) row["document_weights"] = document_weights;
  return row;
}

void LossRow::read(Fields& fields) {
  fields.required("length", length);
  fields.in_range("length", length, 1, int64_t{1} << 40);
  fields.required("nll", nll);
  if (fields.has("nll_standard_error")) {
    fields.required("nll_standard_error", nll_standard_error.emplace());
  }
  double bound = 0;
  for (const char* key : {"low", "high"}) fields.optional(key, bound);
  fields.required("ppl", ppl);
  fields.required("bits_per_byte", bits_per_byte);
  fields.required("tokens_scored", tokens_scored);
  fields.required("document_nll", document_nll);
  if (document_nll.empty()) fields.error("document_nll", "is empty");
  fields.optional("document_weights", document_weights);
  if (!document_weights.empty() && document_weights.size() != document_nll.size()) {
    fields.error("document_weights", "has not one of each document in document_nll");
  }
  if (std::ranges::any_of(document_weights, [](double weight) { return !(weight > 0); })) {
    fields.error("document_weights", "has one that is not above 0");
  }
  fields.optional("seconds", seconds);
}

}  // namespace longspan
