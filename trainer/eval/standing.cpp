#include "trainer/eval/standing.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <set>

#include "trainer/eval/statistics.h"

namespace longspan {

namespace {

double number_in(const Json& row, const char* key, double otherwise) {
  return row.contains(key) && row[key].is_number() ? row[key].get<double>() : otherwise;
}

/// What the result of that label has under "arms" for the arm at the length.
std::optional<ArmCost> cost_of(const std::vector<EvalResult>& results, const std::string& result,
                               const std::string& arm, int64_t length) {
  for (const EvalResult& one : results) {
    if (one.label != result || !one.provenance.contains("arms")) continue;
    for (const Json& cost : one.provenance["arms"]) {
      if (arm_of(cost) != arm || cost.value("length", int64_t{0}) != length) continue;
      const auto number = [&](const char* key) { return number_in(cost, key, 0); };
      return ArmCost{number("time_to_first_token_seconds"), number("tokens_per_second"),
                     number("flops"), number("peak_memory_bytes"), number("kv_bytes")};
    }
  }
  return std::nullopt;
}

/// Of each question, one row after the other; none where a row does not have them.
std::vector<double> scores_of(const std::vector<const Json*>& rows) {
  std::vector<double> scores;
  for (const Json* row : rows) {
    if (!row->contains("scores") || (*row)["scores"].empty()) return {};
    const auto more = (*row)["scores"].get<std::vector<double>>();
    scores.insert(scores.end(), more.begin(), more.end());
  }
  return scores;
}

Standing pooled(const std::vector<const Json*>& rows, const char* key) {
  Standing standing;
  if (rows.size() == 1) {
    const Json& row = *rows.front();
    standing.value = row[key];
    const auto is_number = [&](const char* key) {
      return row.contains(key) && row[key].is_number();
    };
    if (is_number("low") && is_number("high")) standing.interval = {row["low"], row["high"]};
    const std::vector<double> none;
    standing.document_nll =
        weighed(row.value("document_nll", none), row.value("document_weights", none));
    standing.scores = scores_of(rows);
    return standing;
  }
  double n = 0, sum = 0;
  for (const Json* row : rows) {
    const double items = number_in(*row, "n", 1);
    n += items;
    sum += items * (*row)[key].get<double>();
  }
  standing.value = sum / n;
  standing.interval = wilson_interval(sum, std::llround(n));
  standing.scores = scores_of(rows);
  return standing;
}

}  // namespace

std::vector<Standing> TaskStandings::at(int64_t length) const {
  std::vector<Standing> found;
  std::ranges::copy_if(standings, std::back_inserter(found),
                       [&](const Standing& standing) { return standing.length == length; });
  return found;
}

std::vector<int64_t> TaskStandings::lengths() const {
  std::set<int64_t> lengths;
  for (const Standing& standing : standings) lengths.insert(standing.length);
  return {lengths.begin(), lengths.end()};
}

std::vector<std::string> TaskStandings::labels() const {
  std::vector<std::string> labels;
  for (const Standing& standing : standings) {
    if (std::ranges::find(labels, standing.label) == labels.end()) labels.push_back(standing.label);
  }
  return labels;
}

std::vector<TaskStandings> standings_of(const std::vector<EvalResult>& results,
                                        const std::vector<TaskComparison>& comparisons) {
  std::vector<TaskStandings> tasks;
  for (const TaskComparison& comparison : comparisons) {
    TaskStandings task{.task = comparison.task,
                       .title = std::string(make_eval_task(comparison.task)->title())};
    const Json& first = comparison.models.front().rows.front();
    task.is_loss = !first.contains("score");
    task.by_position = first.contains("begin");
    const char* key = task.is_loss ? "nll" : "score";
    for (const LabelledRows& model : comparison.models) {
      std::map<int64_t, std::vector<const Json*>> by_length;
      for (const Json& row : model.rows) {
        if (row.contains(key) && row[key].is_number()) by_length[row["length"]].push_back(&row);
      }
      for (const auto& [length, rows] : by_length) {
        Standing standing = pooled(rows, key);
        standing.label = model.label;
        standing.arm = arm_of(*rows.front());
        standing.length = length;
        if (!task.by_position || length == by_length.rbegin()->first) {
          standing.cost = cost_of(results, model.result, standing.arm, length);
        }
        task.standings.push_back(std::move(standing));
      }
    }
    if (!task.standings.empty()) tasks.push_back(std::move(task));
  }
  return tasks;
}

bool told_apart(const Standing& a, const Standing& b) {
  if (!a.document_nll.empty() || !b.document_nll.empty()) {
    return told_apart(a.document_nll, b.document_nll);
  }
  if (!a.scores.empty() && a.scores.size() == b.scores.size()) {
    return scores_told_apart(a.scores, b.scores);
  }
  return a.interval && b.interval && !a.interval->meets(*b.interval);
}

std::vector<Standing> pareto_front(const TaskStandings& task, std::vector<Standing> standings) {
  std::erase_if(standings, [](const Standing& standing) { return !standing.cost; });
  const auto seconds = [](const Standing& standing) {
    return standing.cost->time_to_first_token_seconds;
  };
  std::ranges::stable_sort(standings, [&](const Standing& a, const Standing& b) {
    return seconds(a) < seconds(b) || (seconds(a) == seconds(b) && task.better(a.value, b.value));
  });
  std::vector<Standing> front;
  for (Standing& standing : standings) {
    if (front.empty() || task.better(standing.value, front.back().value)) {
      front.push_back(std::move(standing));
    }
  }
  return front;
}

std::optional<double> fitted_exponent(const std::vector<std::pair<int64_t, double>>& costs) {
  std::vector<double> x, y;
  for (const auto& [length, cost] : costs) {
    if (!(cost > 0)) continue;
    x.push_back(std::log(static_cast<double>(length)));
    y.push_back(std::log(cost));
  }
  if (x.size() < 2) return std::nullopt;
  const double mean_x = mean(x), mean_y = mean(y);
  double products = 0, squares = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    products += (x[i] - mean_x) * (y[i] - mean_y);
    squares += (x[i] - mean_x) * (x[i] - mean_x);
  }
  return squares > 0 ? std::optional(products / squares) : std::nullopt;
}

}  // namespace longspan
