#include "src/core/text.h"
#include "trainer/eval/loss_report.h"
#include "trainer/eval/perplexity.h"
#include "trainer/eval/rows.h"

namespace longspan {

Json PerplexityRow::write() const {
  const std::optional<Interval> interval = mean_interval(document_nll);
  return {{"length", length},
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
}

void PerplexityRow::read(Fields& fields) {
  fields.required("length", length);
  fields.in_range("length", length, 1, int64_t{1} << 40);
  fields.required("nll", nll);
  if (fields.has("nll_standard_error")) {
    fields.required("nll_standard_error", nll_standard_error.emplace());
  }
  fields.required("ppl", ppl);
  fields.required("bits_per_byte", bits_per_byte);
  fields.required("tokens_scored", tokens_scored);
  fields.required("document_nll", document_nll);
  if (document_nll.empty()) fields.error("document_nll", "is empty");
  fields.optional("seconds", seconds);
}

void Perplexity::check_rows(const Json& rows, Diagnostics& diagnostics) const {
  read_rows<PerplexityRow>(rows, diagnostics);
}

std::vector<Table> Perplexity::tables(const std::vector<LabelledRows>& models,
                                      size_t reference) const {
  const auto curves = read_models<PerplexityRow>(models);
  const PerplexityRow& any = curves.at(reference).rows.at(0);
  const LossWords words{
      .axis = "context (tokens)",
      .losses = fmt::format("Loss in nats a token of the same {} tokens of {} document{}",
                            human_count(any.tokens_scored), any.document_nll.size(),
                            any.document_nll.size() == 1 ? "" : "s"),
      .figure = ""};
  std::vector<Table> tables = loss_tables(words, curves, reference);
  if (lengths_of(curves).size() > 1) tables.push_back(falling_loss_table(curves));
  return tables;
}

std::vector<Figure> Perplexity::figures(const std::vector<LabelledRows>& models) const {
  return loss_figures(
      {.axis = "context length (tokens read)",
       .losses = "",
       .figure = "Loss of the same tokens against the context they are given; lower is better."},
      read_models<PerplexityRow>(models));
}

}  // namespace longspan
