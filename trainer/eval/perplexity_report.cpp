#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "src/core/text.h"
#include "trainer/eval/perplexity.h"
#include "trainer/eval/rows.h"
#include "trainer/eval/statistics.h"

namespace longspan {

namespace {

using Curve = ModelRows<PerplexityRow>;

const PerplexityRow* row_at(const Curve& curve, int64_t length) {
  for (const auto& row : curve.rows) {
    if (row.length == length) return &row;
  }
  return nullptr;
}

using Cell = std::function<std::string(const Curve& curve, const PerplexityRow& row)>;

Table by_length(std::string title, const std::vector<Curve>& curves, const Cell& cell) {
  Table table{.title = std::move(title), .header = {"context (tokens)"}};
  std::set<int64_t> lengths = lengths_of(curves);
  for (int64_t length : lengths) table.header.push_back(length_label(length));
  for (const auto& curve : curves) {
    std::vector<std::string> cells{curve.label};
    for (int64_t length : lengths) {
      const PerplexityRow* row = row_at(curve, length);
      cells.push_back(row ? cell(curve, *row) : "-");
    }
    table.rows.push_back(std::move(cells));
  }
  return table;
}

std::string with_error(double value, std::optional<double> error, bool sign) {
  std::string text = sign ? fmt::format("{:+.4f}", value) : fmt::format("{:.4f}", value);
  return error ? fmt::format("{} ± {:.4f}", text, *error) : text;
}

Table difference_table(const std::vector<Curve>& curves, const Curve& reference) {
  auto title = fmt::format(
      "Loss minus that of '{}' on the same tokens (± paired standard error over documents)",
      reference.label);
  return by_length(title, curves, [&](const Curve& curve, const PerplexityRow& row) {
    const PerplexityRow* other = row_at(reference, row.length);
    if (!other || &curve == &reference) return std::string("-");
    if (row.document_nll.size() != other->document_nll.size()) return std::string("-");
    auto difference = paired_difference(row.document_nll, other->document_nll);
    return with_error(difference.mean, difference.standard_error, true);
  });
}

LineChart loss_chart(const std::vector<Curve>& curves) {
  LineChart chart{.x_label = "context length (tokens read)", .y_label = "loss (nats a token)"};
  for (const auto& curve : curves) {
    LineChart::Series series{.label = curve.label};
    for (const auto& row : curve.rows) {
      series.points.push_back({.x = static_cast<double>(row.length),
                               .y = row.nll,
                               .error = row.nll_standard_error.value_or(0)});
    }
    std::sort(series.points.begin(), series.points.end(),
              [](const auto& a, const auto& b) { return a.x < b.x; });
    chart.series.push_back(std::move(series));
  }
  return chart;
}

/// The lowest loss at each length.
std::map<int64_t, double> best_by_length(const std::vector<Curve>& curves) {
  std::map<int64_t, double> best;
  for (const auto& curve : curves) {
    for (const auto& row : curve.rows) {
      auto [entry, first] = best.try_emplace(row.length, row.nll);
      if (!first) entry->second = std::min(entry->second, row.nll);
    }
  }
  return best;
}

/// The same lines without bands, cut a little above the best of each length, when a curve that
/// falls apart flattens the others.
std::optional<LineChart> enlarged(LineChart chart, const std::vector<Curve>& curves) {
  constexpr double kRoom = 0.12;  // nats
  constexpr double kWorthIt = 3;  // times smaller than the whole range
  double worst = -INFINITY, low = INFINITY, high = -INFINITY;
  for (auto [length, nll] : best_by_length(curves)) {
    low = std::min(low, nll);
    high = std::max(high, nll + kRoom);
  }
  for (auto& series : chart.series) {
    for (auto& point : series.points) {
      point.error = 0;
      worst = std::max(worst, point.y);
    }
  }
  if (worst - low < kWorthIt * (high - low)) return std::nullopt;
  chart.y_max = high;
  return chart;
}

}  // namespace

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
  std::vector<Curve> curves = read_models<PerplexityRow>(models);
  const PerplexityRow& any = curves.at(reference).rows.at(0);
  auto loss_title = fmt::format(
      "Loss in nats a token of the same {} tokens of {} document{} (± standard error over "
      "documents)",
      human_count(any.tokens_scored), any.document_nll.size(),
      any.document_nll.size() == 1 ? "" : "s");
  std::vector<Table> tables{
      by_length(loss_title, curves, [](const Curve&, const PerplexityRow& row) {
        return with_error(row.nll, row.nll_standard_error, false);
      })};
  if (curves.size() > 1) tables.push_back(difference_table(curves, curves[reference]));
  tables.push_back(by_length(
      "Perplexity (exp of the loss)", curves,
      [](const Curve&, const PerplexityRow& row) { return fmt::format("{:.3f}", row.ppl); }));
  tables.push_back(
      by_length("Bits per byte of text", curves, [](const Curve&, const PerplexityRow& row) {
        return fmt::format("{:.4f}", row.bits_per_byte);
      }));
  return tables;
}

std::vector<Figure> Perplexity::figures(const std::vector<LabelledRows>& models) const {
  std::vector<Curve> curves = read_models<PerplexityRow>(models);
  LineChart chart = loss_chart(curves);
  std::vector<Figure> figures{
      {"Loss of the same tokens against the context they are given; lower is better. The band is "
       "one standard error over documents: how hard documents are differs far more than models "
       "do, so compare lines by the paired differences in the table.",
       line_chart_svg(chart)}};
  if (auto close = enlarged(chart, curves)) {
    figures.push_back({"The same lines from near; those that leave the frame go on above it.",
                       line_chart_svg(*close)});
  }
  return figures;
}

}  // namespace longspan
