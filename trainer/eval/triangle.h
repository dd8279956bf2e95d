#pragma once

#include <string>
#include <vector>

#include "trainer/eval/standing.h"

namespace longspan {

// Length, attention and compute beside each other: what each arm reached, and what it took.

/// For each length of the task a chart of its value against the time to the first token with the
/// Pareto front; nothing where no cost was measured.
std::vector<Figure> triangle_figures(const TaskStandings& task);

/// Time, FLOPs and memory by length for each arm, with the exponent of its growth.
std::vector<Table> cost_tables(const std::vector<TaskStandings>& tasks);
std::vector<Figure> cost_figures(const std::vector<TaskStandings>& tasks);

}  // namespace longspan
