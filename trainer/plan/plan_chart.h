#pragma once

#include <string>
#include <vector>

#include "trainer/plan/plan.h"

namespace longspan {

/// Memory at the peak, and time of a step of the stage that takes longest, against the length of
/// the sequences: a bar a plan, stacked by part, and a dashed line at the memory available. An SVG
/// file.
std::string plan_chart_svg(const std::vector<Plan>& plans);

}  // namespace longspan
