#pragma once

#include <string>
#include <vector>

#include "trainer/eval/comparison.h"

namespace longspan {

/// The tables of all tasks for a terminal, and what follows from them (conclusions.h). Differences
/// are to the model labelled `reference`, or to the first one.
std::string text_report(const std::vector<EvalResult>& results,
                        const std::vector<TaskComparison>& comparisons,
                        const std::string& reference = "");

/// The models with their provenance, and the tasks with rows, effective lengths and conclusions.
Json json_report(const std::vector<EvalResult>& results,
                 const std::vector<TaskComparison>& comparisons, const std::string& reference = "");

}  // namespace longspan
