#include "trainer/eval/loss_report.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "trainer/eval/statistics.h"

namespace longspan {

namespace {

const LossRow* row_at(const LossCurve& curve, int64_t length) {
  for (const auto& row : curve.rows) {
    if (row.length == length) return &row;
  }
  return nullptr;
}

using Cell = std::function<std::string(const LossCurve& curve, const LossRow& row)>;

Table losses_by_length(const LossWords& words, std::string title,
                       const std::vector<LossCurve>& curves, const Cell& cell) {
  Table table{.title = std::move(title), .header = {words.axis}};
  std::set<int64_t> lengths = lengths_of(curves);
  for (int64_t length : lengths) table.header.push_back(length_label(length));
  for (const auto& curve : curves) {
    std::vector<std::string> cells{curve.label};
    for (int64_t length : lengths) {
      const LossRow* row = row_at(curve, length);
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

Table loss_differences(const LossWords& words, const std::vector<LossCurve>& curves,
                       const LossCurve& reference) {
  auto title = fmt::format(
      "Loss minus that of '{}' on the same tokens (± paired standard error over documents)",
      reference.label);
  return losses_by_length(words, title, curves, [&](const LossCurve& curve, const LossRow& row) {
    const LossRow* other = row_at(reference, row.length);
    if (!other || &curve == &reference) return std::string("-");
    if (row.document_nll.size() != other->document_nll.size()) return std::string("-");
    auto difference = paired_difference(row.weighed_nll(), other->weighed_nll());
    return with_error(difference.mean, difference.standard_error, true);
  });
}

LineChart loss_chart(const LossWords& words, const std::vector<LossCurve>& curves) {
  LineChart chart{.x_label = words.axis, .y_label = "loss (nats a token)"};
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
std::map<int64_t, double> best_by_length(const std::vector<LossCurve>& curves) {
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
std::optional<LineChart> enlarged(LineChart chart, const std::vector<LossCurve>& curves) {
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

std::vector<Table> loss_tables(const LossWords& words, const std::vector<LossCurve>& models,
                               size_t reference) {
  std::vector<Table> tables{
      losses_by_length(words, words.losses + " (± standard error over documents)", models,
                       [](const LossCurve&, const LossRow& row) {
                         return with_error(row.nll, row.nll_standard_error, false);
                       })};
  if (models.size() > 1) tables.push_back(loss_differences(words, models, models.at(reference)));
  tables.push_back(losses_by_length(
      words, "Perplexity (exp of the loss)", models,
      [](const LossCurve&, const LossRow& row) { return fmt::format("{:.3f}", row.ppl); }));
  tables.push_back(losses_by_length(words, "Bits per byte of text", models,
                                    [](const LossCurve&, const LossRow& row) {
                                      return fmt::format("{:.4f}", row.bits_per_byte);
                                    }));
  return tables;
}

EffectiveLengths falling_losses(const std::vector<LossCurve>& models) {
  EffectiveLengths found;
  if (lengths_of(models).size() < 2) return found;
  found.rule =
      "the length of least loss [the lengths that cannot be told apart from it, paired over "
      "documents]";
  for (const auto& model : models) {
    std::vector<LossAtLength> losses;
    for (const auto& row : model.rows) losses.push_back({row.length, row.weighed_nll()});
    std::sort(losses.begin(), losses.end(),
              [](const auto& a, const auto& b) { return a.length < b.length; });
    found.of_models.push_back(loss_falls_until(losses));
  }
  return found;
}

std::vector<Figure> loss_figures(const LossWords& words, const std::vector<LossCurve>& models) {
  LineChart chart = loss_chart(words, models);
  std::vector<Figure> figures{
      {words.figure +
           " The band is one standard error over documents: how hard documents are differs far "
           "more than models do, so compare lines by the paired differences in the table.",
       line_chart_svg(chart)}};
  if (auto close = enlarged(chart, models)) {
    figures.push_back({"The same lines from near; those that leave the frame go on above it.",
                       line_chart_svg(*close)});
  }
  return figures;
}

}  // namespace longspan
