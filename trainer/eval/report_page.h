#pragma once

#include <string>
#include <vector>

#include "trainer/eval/comparison.h"

namespace longspan {

/// One self-contained HTML page: figures, tables, protocol and provenance. It loads nothing from
/// elsewhere and follows the reader's light or dark setting.
std::string report_page(const std::vector<EvalResult>& results,
                        const std::vector<TaskComparison>& comparisons,
                        const std::string& reference = "");

}  // namespace longspan
