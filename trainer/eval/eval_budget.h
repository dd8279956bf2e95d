#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "trainer/eval/eval_run.h"

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

/// What there is to do up to a length with a share of the items, and how long it takes.
using WorkOf = std::function<std::vector<EvalWork>(int64_t longest, double share)>;
using SecondsOf = std::function<double(const EvalWork& work)>;

/// The most that takes no more than `budget_seconds`: fewer items, down to a quarter, before the
/// longest length goes, and always something. `lengths` ascend.
BudgetedRun fit_budget(const std::vector<int64_t>& lengths, const WorkOf& count_work,
                       const SecondsOf& seconds_of, double budget_seconds);

/// The same for these tasks, of which it keeps what is left. What each arm takes is measured by the
/// first items at the shortest length, whose answers the journal keeps; an arm whose kernel grows
/// faster with the length than its FLOPs takes longer than that.
BudgetedRun keep_budget(DrawnTasks& tasks, const EvalSubject& subject,
                        const std::vector<NamedArm>& arms, const std::vector<int64_t>& lengths,
                        AnswerJournal& journal, double budget_seconds);

}  // namespace longspan
