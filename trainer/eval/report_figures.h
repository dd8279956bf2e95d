#pragma once

#include <filesystem>
#include <vector>

#include "trainer/eval/comparison.h"

namespace longspan {

/// Writes each chart of the report's page into `folder` as NAME.svg and NAME.png: NAME is the task
/// and a number from 1 in the order of the page ("needle-1"), "cost-1" for what the arms take.
/// Files of these names are replaced. Returns the paths of the PNGs.
std::vector<std::filesystem::path> write_report_figures(
    const std::filesystem::path& folder, const std::vector<EvalResult>& results,
    const std::vector<TaskComparison>& comparisons);

}  // namespace longspan
