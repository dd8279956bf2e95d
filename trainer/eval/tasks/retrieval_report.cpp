#include "trainer/eval/tasks/retrieval_report.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <set>

#include "src/core/text.h"

namespace longspan {

namespace {

using Rows = std::vector<RetrievalRow>;
using Filter = std::function<bool(const RetrievalRow& row)>;

Rows rows_where(const RetrievalRows& model, const Filter& wanted) {
  Rows rows;
  std::copy_if(model.rows.begin(), model.rows.end(), std::back_inserter(rows), wanted);
  return rows;
}

Rows rows_of_length(const RetrievalRows& model, int64_t length) {
  return rows_where(model, [&](const auto& row) { return row.length == length; });
}

std::set<double> depths_of(const RetrievalRows& model) {
  std::set<double> depths;
  for (const auto& row : model.rows) {
    if (row.depth) depths.insert(*row.depth);
  }
  return depths;
}

std::set<std::string> subsets_of(const std::vector<RetrievalRows>& models) {
  std::set<std::string> subsets;
  for (const auto& model : models) {
    for (const auto& row : model.rows) subsets.insert(row.subset);
  }
  return subsets;
}

/// "7/10" of scores that are 0 or 1, "0.72 of 10" of others.
std::string score_label(const RetrievalRow& row) {
  const bool is_graded = std::any_of(row.scores.begin(), row.scores.end(),
                                     [](double score) { return score > 0 && score < 1; });
  return is_graded
             ? fmt::format("{:.2f} of {}", row.score, row.n)
             : fmt::format("{}/{}", std::count(row.scores.begin(), row.scores.end(), 1.0), row.n);
}

std::string score_with_interval(const Rows& rows) {
  const RetrievalRow all = pooled(rows);
  const Interval interval = all.interval();
  return fmt::format("{} [{:.2f}, {:.2f}]", score_label(all), interval.low, interval.high);
}

std::string loss_label(const Rows& rows) {
  const RetrievalRow all = pooled(rows);
  std::string text = fmt::format("{:.3f} ({:.0f} %", all.answer_nll, 100 * all.token_accuracy);
  if (all.ranked > 0) text += fmt::format("; {}/{} first", all.ranked_first, all.ranked);
  return text + ")";
}

using RowsLabel = std::function<std::string(const Rows& rows)>;

struct Line {
  std::string label;
  RetrievalRows model;
};

Table table_by_length(std::string title, const std::vector<Line>& lines,
                      const std::set<int64_t>& lengths, const RowsLabel& summary) {
  Table table{.title = std::move(title), .header = {"length (tokens)"}};
  for (const int64_t length : lengths) table.header.push_back(length_label(length));
  for (const auto& line : lines) {
    auto& cells = table.rows.emplace_back(1, line.label);
    for (const int64_t length : lengths) {
      const Rows rows = rows_of_length(line.model, length);
      cells.push_back(rows.empty() ? "-" : summary(rows));
    }
  }
  return table;
}

std::vector<Line> line_a_model(const std::vector<RetrievalRows>& models) {
  std::vector<Line> lines;
  for (const auto& model : models) lines.push_back({model.label, model});
  return lines;
}

std::vector<Line> line_a_depth(const RetrievalRows& model) {
  std::vector<Line> lines;
  for (const double depth : depths_of(model)) {
    lines.push_back(
        {fmt::format("{:.0f} %", depth * 100),
         {model.label, rows_where(model, [&](const auto& row) { return row.depth == depth; })}});
  }
  return lines;
}

std::vector<Line> line_a_subset(const std::vector<RetrievalRows>& models) {
  std::vector<Line> lines;
  for (const auto& subset : subsets_of(models)) {
    for (const auto& model : models) {
      const auto label = models.size() == 1 ? subset : fmt::format("{}: {}", subset, model.label);
      lines.push_back({label, {model.label, rows_where(model, [&](const auto& row) {
                                 return row.subset == subset;
                               })}});
    }
  }
  return lines;
}

/// "+0.500 ± 0.189", of as many values for the same questions; else "-".
std::string difference_label(const std::vector<double>& ours, const std::vector<double>& theirs) {
  if (ours.empty() || ours.size() != theirs.size()) return "-";
  const auto difference = paired_difference(ours, theirs);
  const auto text = fmt::format("{:+.3f}", difference.mean);
  return difference.standard_error ? fmt::format("{} ± {:.3f}", text, *difference.standard_error)
                                   : text;
}

/// Of each row, by the number of its questions.
std::vector<double> losses_of_answers(const Rows& rows) {
  std::vector<double> losses, questions;
  for (const auto& row : rows) {
    losses.push_back(row.answer_nll);
    questions.push_back(static_cast<double>(row.n));
  }
  return weighed(losses, questions);
}

std::vector<double> scores_of_questions(const Rows& rows) { return pooled(rows).scores; }

/// `values`: of the rows of one length, which are not empty.
Table difference_table(std::string title, const std::vector<RetrievalRows>& models,
                       const RetrievalRows& reference, const std::set<int64_t>& lengths,
                       std::vector<double> (*values)(const Rows&)) {
  return table_by_length(std::move(title), line_a_model(models), lengths, [&](const Rows& rows) {
    const Rows others = rows_of_length(reference, rows.front().length);
    if (others.empty()) return std::string("-");
    return difference_label(values(rows), values(others));
  });
}

HeatMap map_of(const RetrievalWords& words, const RetrievalRows& model,
               const std::set<int64_t>& lengths) {
  HeatMap map{
      .title = model.label, .x_label = "length (tokens)", .y_label = std::string(words.depth)};
  for (const int64_t length : lengths) map.columns.push_back(length_label(length));
  for (const double depth : depths_of(model)) {
    map.rows.push_back(fmt::format("{:.0f} %", depth * 100));
    auto& cells = map.cells.emplace_back();
    for (const int64_t length : lengths) {
      HeatMap::Cell& cell = cells.emplace_back();
      const Rows rows = rows_where(
          model, [&](const auto& row) { return row.length == length && row.depth == depth; });
      if (rows.empty()) continue;
      const RetrievalRow all = pooled(rows);
      const Interval interval = all.interval();
      cell.value = all.score;
      cell.text = score_label(all);
      cell.tooltip = fmt::format(
          "{}, {} tokens, depth {:.0f} %: score {:.2f} of {}, 95 % interval {:.2f} to {:.2f}, "
          "answer loss {:.3f}",
          model.label, length, depth * 100, all.score, all.n, interval.low, interval.high,
          all.answer_nll);
    }
  }
  return map;
}

}  // namespace

std::vector<Table> retrieval_tables(const RetrievalWords& words,
                                    const std::vector<RetrievalRows>& models, size_t reference) {
  const std::set<int64_t> lengths = lengths_of(models);
  const auto lines = line_a_model(models);
  std::vector<Table> tables{
      table_by_length(fmt::format("{} [95 % Wilson interval]", words.scores), lines, lengths,
                      score_with_interval),
      table_by_length("Loss of the answer's tokens when fed, nats a token (how many are the "
                      "model's first choice; how many answers have less loss than their "
                      "distractors)",
                      lines, lengths, loss_label)};
  const auto add_where_known = [&](std::string title, std::optional<double> RetrievalRow::*value) {
    const bool is_known = std::ranges::any_of(models, [&](const RetrievalRows& model) {
      return std::ranges::any_of(model.rows, [&](const auto& row) { return bool(row.*value); });
    });
    if (!is_known) return;
    tables.push_back(table_by_length(std::move(title), lines, lengths, [value](const Rows& rows) {
      const std::optional<double> mean = pooled(rows).*value;
      return mean ? fmt::format("{:.2f}", *mean) : std::string("-");
    }));
  };
  add_where_known(
      "Loss of the tokens that tell the answer from its distractors, nats an answer (what follows "
      "them can be copied)",
      &RetrievalRow::choice_nll);
  add_where_known("Share of the evidence that reached the model", &RetrievalRow::recall);
  const EffectiveLengths found = effective_lengths(words, models);
  if (!found.of_models.empty()) {
    tables.push_back(
        length_table(fmt::format("Effective length: {} [95 %]", found.rule), models, found));
  }
  if (models.size() > 1) {
    const RetrievalRows& others = models.at(reference);
    if (words.knows_each_score) {
      tables.push_back(difference_table(
          fmt::format("Score minus that of '{}' on the same questions (± paired standard error)",
                      others.label),
          models, others, lengths, scores_of_questions));
    }
    tables.push_back(difference_table(
        fmt::format("Loss of the answer's tokens minus that of '{}' (± standard error, paired by "
                    "depth and kind)",
                    others.label),
        models, others, lengths, losses_of_answers));
  }
  if (subsets_of(models).size() > 1) {
    tables.push_back(table_by_length(fmt::format("{} by kind", words.scores), line_a_subset(models),
                                     lengths, score_with_interval));
  }
  if (models.size() == 1 && !depths_of(models[0]).empty()) {
    tables.push_back(table_by_length(fmt::format("{} by {}", words.scores, words.depth),
                                     line_a_depth(models[0]), lengths,
                                     [](const Rows& rows) { return score_label(pooled(rows)); }));
  }
  return tables;
}

EffectiveLengths effective_lengths(const RetrievalWords& words,
                                   const std::vector<RetrievalRows>& models) {
  EffectiveLengths found;
  if (!words.lengths_compare || lengths_of(models).size() < 2) return found;
  found.rule =
      fmt::format("the longest up to which the score is at least {:.0f} % of the shortest length's",
                  100 * kEffectiveShare);
  for (const auto& model : models) {
    std::vector<ScoredLength> scored;
    for (const int64_t length : lengths_of(std::vector<RetrievalRows>{model})) {
      scored.push_back({length, pooled(rows_of_length(model, length)).scores});
    }
    found.of_models.push_back(effective_length(scored));
  }
  return found;
}

std::vector<Figure> retrieval_figures(const RetrievalWords& words,
                                      const std::vector<RetrievalRows>& models) {
  const std::set<int64_t> lengths = lengths_of(models);
  std::string maps;
  for (const auto& model : models) {
    if (!depths_of(model).empty()) maps += heat_map_svg(map_of(words, model, lengths));
  }
  if (maps.empty()) return {};
  return {{fmt::format("{} by length and depth; the colour scale is 0 to 1 in every map, and a "
                       "cell names its questions. Few questions prove little: three of three mean "
                       "a score of at least 0.44 (Wilson, 95 %).",
                       words.scores),
           maps}};
}

}  // namespace longspan
