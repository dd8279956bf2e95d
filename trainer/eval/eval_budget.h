#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "trainer/eval/eval_work.h"

namespace longspan {

/// Seconds above 0 of "90s", "10m" or "1.5h"; throws Error(kUsage) naming `option` for anything
/// else.
double parse_duration(std::string_view text, std::string_view option);

/// What a budget of time leaves of a run.
struct BudgetedRun {
  std::vector<int64_t> lengths;
  double share = 1;                       // of the items
  double seconds = 0;                     // that this takes, about
  std::vector<std::string> dropped = {};  // what is left out, in words
};

/// The most that takes no more than `budget_seconds`: fewer items, down to a quarter, before the
/// longest length goes, and always something. `lengths` ascend.
BudgetedRun fit_budget(const std::vector<EvalWork>& work, const std::vector<int64_t>& lengths,
                       double flops_per_second, double budget_seconds);

/// Of reading with full attention a few hundred tokens, after a warm-up.
double measure_flops_per_second(CausalLm& model);

}  // namespace longspan
