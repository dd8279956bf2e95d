#pragma once

#include <map>
#include <string>
#include <vector>

#include "trainer/eval/standing.h"

namespace longspan {

/// What the standings of a task say, computed from their numbers. For each length a sentence: what
/// stands first, what cannot be told apart from it, what of these costs least, and what is best for
/// less time. Then one of all against `reference`, the label that is first where it is empty: what
/// each costs at the shortest length beside what it gains at the longest. Nothing of one label
/// alone.
std::vector<std::string> conclusions(const TaskStandings& task, const std::string& reference = "");

/// The same by the task of each comparison, where it has any standings. `reference` is that of
/// reference_index().
std::map<std::string, std::vector<std::string>> conclusions_by_task(
    const std::vector<EvalResult>& results, const std::vector<TaskComparison>& comparisons,
    const std::string& reference);

}  // namespace longspan
