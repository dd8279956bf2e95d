#pragma once

#include <vector>

#include "trainer/plan/plan.h"

namespace longspan {

/// What plan_run() chooses among: each with nothing left to `auto`, and with what `asked` gives.
/// Throws Error(kRecipe) where that excludes all.
std::vector<MemoryOptions> memory_choices(const RunShape& shape, const std::vector<Stage>& stages,
                                          const MemoryOptions& asked, const Machine& machine);

/// Whether layers may keep more than they need to: half of a CPU's memory stays for others, and
/// nobody else wants a GPU's.
bool leaves_enough(const RunShape& shape, const MemoryPlan& memory, int64_t available);

}  // namespace longspan
