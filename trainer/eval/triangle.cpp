#include "trainer/eval/triangle.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "src/core/text.h"
#include "trainer/figures/scatter_chart.h"

namespace longspan {

namespace {

ScatterChart chart_at(const TaskStandings& task, int64_t length) {
  ScatterChart chart{.title = fmt::format("{} tokens", length_label(length)),
                     .x_label = "time to the first token (s)",
                     .y_label = task.is_loss ? "loss" : "score"};
  const std::vector<std::string> labels = task.labels();
  const std::vector<Standing> front = pareto_front(task, task.at(length));
  for (const Standing& standing : task.at(length)) {
    if (!standing.cost || !(standing.cost->time_to_first_token_seconds > 0)) continue;
    const auto colour = std::ranges::find(labels, standing.label) - labels.begin();
    chart.points.push_back(
        {.label = standing.label,
         .x = standing.cost->time_to_first_token_seconds,
         .y = standing.value,
         .low = standing.interval ? standing.interval->low : standing.value,
         .high = standing.interval ? standing.interval->high : standing.value,
         .colour = static_cast<size_t>(colour),
         .on_front = std::ranges::find(front, standing.label, &Standing::label) != front.end()});
  }
  return chart;
}

/// What one label costs by length.
struct LabelledCosts {
  std::string label;
  std::map<int64_t, ArmCost> by_length = {};
};

/// In the order of their first standings, of whichever task has them.
std::vector<LabelledCosts> costs_of(const std::vector<TaskStandings>& tasks) {
  std::vector<LabelledCosts> costs;
  for (const TaskStandings& task : tasks) {
    for (const Standing& standing : task.standings) {
      if (!standing.cost) continue;
      auto known = std::ranges::find(costs, standing.label, &LabelledCosts::label);
      if (known == costs.end()) known = costs.insert(known, {standing.label});
      known->by_length.emplace(standing.length, *standing.cost);
    }
  }
  return costs;
}

struct CostColumn {
  std::string title;
  std::function<double(const ArmCost&)> number;
  std::function<std::string(double)> shown;
  bool grows;  // whether its exponent means something
};

std::vector<CostColumn> cost_columns() {
  const auto bytes = [](double count) { return human_bytes(static_cast<int64_t>(count)); };
  return {{"Time to the first token",
           [](const ArmCost& c) { return c.time_to_first_token_seconds; }, seconds_label, true},
          {"Generated tokens a second", [](const ArmCost& c) { return c.tokens_per_second; },
           [](double rate) { return fmt::format("{:.3g}", rate); }, false},
          {"TFLOP of a prompt by formula", [](const ArmCost& c) { return c.flops / 1e12; },
           [](double tflop) { return fmt::format("{:.3g}", tflop); }, true},
          {"Peak memory of the process", [](const ArmCost& c) { return c.peak_memory_bytes; },
           bytes, false},
          {"Keys and values", [](const ArmCost& c) { return c.kv_bytes; }, bytes, true}};
}

Table cost_table(const std::vector<LabelledCosts>& costs, const std::set<int64_t>& lengths,
                 const CostColumn& column) {
  Table table{.title = column.title, .header = {"prompt (tokens)"}};
  for (int64_t length : lengths) table.header.push_back(length_label(length));
  if (column.grows) table.header.emplace_back("grows with");
  for (const auto& [label, by_length] : costs) {
    auto& row = table.rows.emplace_back(1, label);
    std::vector<std::pair<int64_t, double>> points;
    for (int64_t length : lengths) {
      const auto found = by_length.find(length);
      const double number = found == by_length.end() ? 0 : column.number(found->second);
      row.push_back(number > 0 ? column.shown(number) : "-");
      points.emplace_back(length, number);
    }
    if (!column.grows) continue;
    const auto exponent = fitted_exponent(points);
    row.push_back(exponent ? fmt::format("length^{:.2f}", *exponent) : "-");
  }
  return table;
}

std::set<int64_t> lengths_of(const std::vector<LabelledCosts>& costs) {
  std::set<int64_t> lengths;
  for (const auto& [label, by_length] : costs) {
    for (const auto& [length, cost] : by_length) lengths.insert(length);
  }
  return lengths;
}

}  // namespace

std::vector<Figure> triangle_figures(const TaskStandings& task) {
  Figure figure{
      fmt::format("{} against cost, with 95 % intervals. A line joins what no other beats "
                  "without taking longer.",
                  task.is_loss ? "Loss" : "Score"),
      ""};
  for (int64_t length : task.lengths()) {
    const ScatterChart chart = chart_at(task, length);
    if (!chart.points.empty()) figure.svg += scatter_chart_svg(chart);
  }
  if (figure.svg.empty()) return {};
  return {figure};
}

std::vector<Table> cost_tables(const std::vector<TaskStandings>& tasks) {
  const std::vector<LabelledCosts> costs = costs_of(tasks);
  std::vector<Table> tables;
  for (const CostColumn& column : cost_columns()) {
    Table table = cost_table(costs, lengths_of(costs), column);
    const bool measured = std::ranges::any_of(table.rows, [](const auto& row) {
      return std::ranges::any_of(row.begin() + 1, row.end(),
                                 [](const auto& c) { return c != "-"; });
    });
    if (measured) tables.push_back(std::move(table));
  }
  return tables;
}

std::vector<Figure> cost_figures(const std::vector<TaskStandings>& tasks) {
  LineChart chart{.x_label = "prompt (tokens)", .y_label = "time to the first token (s)"};
  for (const auto& [label, by_length] : costs_of(tasks)) {
    LineChart::Series series{.label = label};
    for (const auto& [length, cost] : by_length) {
      series.points.push_back({static_cast<double>(length), cost.time_to_first_token_seconds});
    }
    chart.series.push_back(std::move(series));
  }
  if (chart.series.empty()) return {};
  return {
      {"Time from a prompt to the first token, as measured in these runs.", line_chart_svg(chart)}};
}

}  // namespace longspan
