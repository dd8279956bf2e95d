#include <functional>
#include <map>
#include <set>

#include "src/core/text.h"
#include "trainer/eval/passkey.h"
#include "trainer/eval/rows.h"
#include "trainer/eval/statistics.h"

namespace longspan {

namespace {

using Grid = ModelRows<PasskeyRow>;

std::vector<PasskeyRow> cells_at(const Grid& grid, int64_t length) {
  std::vector<PasskeyRow> found;
  for (const auto& cell : grid.rows) {
    if (cell.length == length) found.push_back(cell);
  }
  return found;
}

std::set<double> depths_of(const Grid& grid) {
  std::set<double> depths;
  for (const auto& cell : grid.rows) depths.insert(cell.depth);
  return depths;
}

using Summary = std::function<std::string(const std::vector<PasskeyRow>& depths)>;

Table by_length(std::string title, const std::vector<Grid>& grids, const Summary& summary) {
  Table table{.title = std::move(title), .header = {"prompt (tokens)"}};
  std::set<int64_t> lengths = lengths_of(grids);
  for (int64_t length : lengths) table.header.push_back(length_label(length));
  for (const auto& grid : grids) {
    std::vector<std::string> cells{grid.label};
    for (int64_t length : lengths) {
      auto depths = cells_at(grid, length);
      cells.push_back(depths.empty() ? "-" : summary(depths));
    }
    table.rows.push_back(std::move(cells));
  }
  return table;
}

std::string accuracy_of(const std::vector<PasskeyRow>& depths) {
  int64_t correct = 0, trials = 0;
  for (const auto& cell : depths) {
    correct += cell.correct;
    trials += cell.trials;
  }
  Interval interval = wilson_interval(correct, trials);
  return fmt::format("{}/{} [{:.2f}, {:.2f}]", correct, trials, interval.low, interval.high);
}

std::string answer_loss_of(const std::vector<PasskeyRow>& depths) {
  double nll = 0, accuracy = 0;
  for (const auto& cell : depths) {
    nll += cell.answer_nll / static_cast<double>(depths.size());
    accuracy += cell.answer_token_accuracy / static_cast<double>(depths.size());
  }
  return fmt::format("{:.3f} ({:.0f} %)", nll, 100 * accuracy);
}

Table by_depth(const Grid& grid) {
  Table table{.title = "Keys found by depth of the key", .header = {"prompt (tokens)"}};
  std::set<int64_t> lengths = lengths_of(std::vector<Grid>{grid});
  for (int64_t length : lengths) table.header.push_back(length_label(length));
  for (double depth : depths_of(grid)) {
    auto& row = table.rows.emplace_back(1, fmt::format("{:.0f} %", depth * 100));
    for (int64_t length : lengths) {
      std::string found = "-";
      for (const auto& cell : cells_at(grid, length)) {
        if (cell.depth == depth) found = fmt::format("{}/{}", cell.correct, cell.trials);
      }
      row.push_back(found);
    }
  }
  return table;
}

HeatMap heat_map(const Grid& grid, const std::set<int64_t>& lengths) {
  HeatMap map{.title = grid.label, .x_label = "prompt (tokens)", .y_label = "depth of the key"};
  for (int64_t length : lengths) map.columns.push_back(length_label(length));
  for (double depth : depths_of(grid)) {
    map.rows.push_back(fmt::format("{:.0f} %", depth * 100));
    auto& cells = map.cells.emplace_back();
    for (int64_t length : lengths) {
      HeatMap::Cell cell;
      for (const auto& row : cells_at(grid, length)) {
        if (row.depth != depth) continue;
        Interval interval = wilson_interval(row.correct, row.trials);
        cell.value = row.accuracy();
        cell.text = fmt::format("{}/{}", row.correct, row.trials);
        cell.tooltip = fmt::format(
            "{}, {} tokens, depth {:.0f} %: {} of {}, 95 % interval {:.2f} to {:.2f}, answer loss "
            "{:.3f}",
            grid.label, length, depth * 100, row.correct, row.trials, interval.low, interval.high,
            row.answer_nll);
      }
      cells.push_back(std::move(cell));
    }
  }
  return map;
}

}  // namespace

Json PasskeyRow::write() const {
  Interval interval = wilson_interval(correct, trials);
  return {{"length", length},
          {"depth", depth},
          {"n", trials},
          {"score", accuracy()},
          {"low", interval.low},
          {"high", interval.high},
          {"trials", trials},
          {"correct", correct},
          {"accuracy", accuracy()},
          {"accuracy_low", interval.low},
          {"accuracy_high", interval.high},
          {"answer_nll", answer_nll},
          {"answer_token_accuracy", answer_token_accuracy},
          {"prompt_tokens", prompt_tokens},
          {"seconds", seconds}};
}

void PasskeyRow::read(Fields& fields) {
  fields.required("length", length);
  fields.in_range("length", length, 1, int64_t{1} << 40);
  fields.required("depth", depth);
  fields.in_range("depth", depth, 0, 1);
  fields.required("trials", trials);
  fields.in_range("trials", trials, 1, int64_t{1} << 40);
  fields.required("correct", correct);
  fields.in_range("correct", correct, 0, trials);
  fields.required("answer_nll", answer_nll);
  fields.required("answer_token_accuracy", answer_token_accuracy);
  fields.optional("prompt_tokens", prompt_tokens);
  fields.optional("seconds", seconds);
}

void Passkey::check_rows(const Json& rows, Diagnostics& diagnostics) const {
  read_rows<PasskeyRow>(rows, diagnostics);
}

std::vector<Table> Passkey::tables(const std::vector<LabelledRows>& models, size_t) const {
  std::vector<Grid> grids = read_models<PasskeyRow>(models);
  std::vector<Table> tables{
      by_length("Keys found over all depths [95 % Wilson interval]", grids, accuracy_of),
      by_length("Loss of the answer's tokens when fed, nats a token (and how many are the "
                "model's first choice)",
                grids, answer_loss_of)};
  if (grids.size() == 1) tables.push_back(by_depth(grids[0]));
  return tables;
}

std::vector<Figure> Passkey::figures(const std::vector<LabelledRows>& models) const {
  std::vector<Grid> grids = read_models<PasskeyRow>(models);
  std::set<int64_t> lengths = lengths_of(grids);
  std::string maps;
  for (const auto& grid : grids) maps += heat_map_svg(heat_map(grid, lengths));
  return {
      {"Keys found by length and depth; the colour scale is 0 to 1 in every map, and a cell "
       "names its trials. Few trials prove little: three of three mean an accuracy of at least "
       "0.44 "
       "(Wilson, 95 %).",
       maps}};
}

}  // namespace longspan
