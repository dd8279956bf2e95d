#pragma once

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

}  // namespace longspan
