#include "trainer/eval/conclusions.h"

#include <algorithm>
#include <cmath>

#include "src/core/text.h"
#include "trainer/figures/table.h"

namespace longspan {

namespace {

std::string standing_shown(const Standing& standing) {
  const int digits = standing.document_nll.empty() ? 3 : 4;  // losses differ by little
  const auto shown = [&](double value) { return fmt::format("{:.{}g}", value, digits); };
  if (!standing.interval) {
    return fmt::format("{} ({})", standing.label, shown(standing.value));
  }
  return fmt::format("{} ({} [{}, {}])", standing.label, shown(standing.value),
                     shown(standing.interval->low), shown(standing.interval->high));
}

/// Which of `equals` costs least, where costs are known and differ.
std::string cheapest_of(const std::vector<Standing>& equals, const Standing& best) {
  const Standing* cheapest = nullptr;
  for (const Standing& standing : equals) {
    if (!standing.cost) continue;
    if (!cheapest ||
        standing.cost->time_to_first_token_seconds < cheapest->cost->time_to_first_token_seconds) {
      cheapest = &standing;
    }
  }
  if (!cheapest) return "";
  const double seconds = cheapest->cost->time_to_first_token_seconds;
  if (cheapest->label == best.label || !best.cost) {
    return fmt::format(" {} takes {} to the first token.", cheapest->label, seconds_label(seconds));
  }
  const double share = seconds / best.cost->time_to_first_token_seconds;
  return fmt::format(" Of these {} is the cheapest: {} to the first token, {:.0f} % of {}.",
                     cheapest->label, seconds_label(seconds), 100 * share, best.label);
}

/// The best for each budget of time, where more time brings what can be told apart.
std::string best_by_budget(const TaskStandings& task, int64_t length) {
  std::vector<Standing> steps;
  for (const Standing& standing : pareto_front(task, task.at(length))) {
    if (steps.empty() || told_apart(steps.back(), standing)) steps.push_back(standing);
  }
  if (steps.size() < 2) return "";
  std::vector<std::string> parts;
  for (const Standing& step : steps) {
    parts.push_back(fmt::format("{} from {}", step.label,
                                seconds_label(step.cost->time_to_first_token_seconds)));
  }
  return fmt::format(" By time to the first token the best is {}.", join(parts, ", "));
}

std::string conclusion_at(const TaskStandings& task, int64_t length) {
  std::vector<Standing> standings = task.at(length);
  std::ranges::stable_sort(standings, [&](const Standing& a, const Standing& b) {
    return task.better(a.value, b.value);
  });
  const Standing best = standings.front();
  std::vector<Standing> equals{best};
  std::vector<std::string> alike, behind;
  for (size_t i = 1; i < standings.size(); ++i) {
    if (told_apart(best, standings[i])) {
      behind.push_back(standing_shown(standings[i]));
    } else {
      equals.push_back(standings[i]);
      alike.push_back(standing_shown(standings[i]));
    }
  }
  const std::string place = task.by_position ? "Positions up to " + length_label(length)
                                             : length_label(length) + " tokens";
  std::string text = fmt::format("{}: {} is first.", place, standing_shown(best));
  if (!alike.empty()) {
    text += fmt::format(" Cannot be told apart from it: {}.", join(alike, ", "));
  }
  text += cheapest_of(equals, best) + best_by_budget(task, length);
  if (!behind.empty()) text += fmt::format(" Behind: {}.", join(behind, ", "));
  return text;
}

const Standing* standing_of(const TaskStandings& task, const std::string& label, int64_t length) {
  const auto found = std::ranges::find_if(task.standings, [&](const Standing& standing) {
    return standing.label == label && standing.length == length;
  });
  return found == task.standings.end() ? nullptr : &*found;
}

/// "costs 0.02", "gains 1.5 (cannot be told apart)".
std::string change(const TaskStandings& task, const Standing& from, const Standing& to) {
  if (to.value == from.value) return "is level";
  const char* verb = task.better(to.value, from.value) ? "gains" : "costs";
  const char* doubt = told_apart(from, to) ? "" : " (cannot be told apart)";
  return fmt::format("{} {:.3g}{}", verb, std::abs(to.value - from.value), doubt);
}

/// The price of each label beside its gain; empty where no other has both lengths.
std::string price_and_gain(const TaskStandings& task, const std::string& reference) {
  const int64_t shortest = task.lengths().front(), longest = task.lengths().back();
  const Standing* near = standing_of(task, reference, shortest);
  const Standing* far = standing_of(task, reference, longest);
  if (shortest == longest || !near || !far) return "";
  std::vector<std::string> parts;
  for (const std::string& label : task.labels()) {
    const Standing* other_near = standing_of(task, label, shortest);
    const Standing* other_far = standing_of(task, label, longest);
    if (label == reference || !other_near || !other_far) continue;
    parts.push_back(fmt::format("{} {} and {}", label, change(task, *near, *other_near),
                                change(task, *far, *other_far)));
  }
  if (parts.empty()) return "";
  const std::string at_near = task.by_position ? "positions up to " + length_label(shortest)
                                               : length_label(shortest) + " tokens";
  return fmt::format("Against {} at {}, and {} {}: {}.", reference, at_near,
                     task.by_position ? "up to" : "at", length_label(longest), join(parts, "; "));
}

}  // namespace

std::vector<std::string> conclusions(const TaskStandings& task, const std::string& reference) {
  const std::vector<std::string> labels = task.labels();
  std::vector<std::string> sentences;
  if (labels.size() < 2) return sentences;
  for (int64_t length : task.lengths()) sentences.push_back(conclusion_at(task, length));
  const std::string against = price_and_gain(task, reference.empty() ? labels[0] : reference);
  if (!against.empty()) sentences.push_back(against);
  return sentences;
}

std::map<std::string, std::vector<std::string>> conclusions_by_task(
    const std::vector<EvalResult>& results, const std::vector<TaskComparison>& comparisons,
    const std::string& reference) {
  std::map<std::string, std::vector<std::string>> by_task;
  const std::vector<TaskStandings> standings = standings_of(results, comparisons);
  for (const TaskComparison& comparison : comparisons) {
    const auto task = std::ranges::find(standings, comparison.task, &TaskStandings::task);
    if (task == standings.end()) continue;
    const size_t compared_to = reference_index(comparison, reference);
    by_task[comparison.task] = conclusions(*task, comparison.models[compared_to].label);
  }
  return by_task;
}

}  // namespace longspan
