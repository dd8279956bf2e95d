#include "trainer/eval/eval_budget.h"

#include <algorithm>
#include <map>

#include "src/core/text.h"

namespace longspan {

namespace {

/// Of each task, however many arms are asked.
std::map<std::string, int64_t> items_by_task(const std::vector<EvalWork>& work) {
  std::map<std::pair<std::string, std::string>, int64_t> by_arm;
  for (const EvalWork& entry : work) by_arm[{entry.task, entry.arm}] += entry.items();
  std::map<std::string, int64_t> of_task;
  for (const auto& [task_and_arm, items] : by_arm) {
    int64_t& most = of_task[task_and_arm.first];
    most = std::max(most, items);
  }
  return of_task;
}

/// "12 of 48 items of passkey": what is not asked.
std::vector<std::string> fewer_items(const std::vector<EvalWork>& all,
                                     const std::vector<EvalWork>& kept) {
  std::vector<std::string> fewer;
  const auto asked = items_by_task(kept);
  for (const auto& [task, before] : items_by_task(all)) {
    const auto found = asked.find(task);
    const int64_t now = found == asked.end() ? 0 : found->second;
    if (now < before) {
      fewer.push_back(fmt::format("{} of {} items of {}", before - now, before, task));
    }
  }
  return fewer;
}

}  // namespace

double parse_duration(std::string_view text, std::string_view option) {
  constexpr std::string_view kUnits = "smh";
  constexpr double kSeconds[] = {1, 60, 3600};
  const size_t unit = text.empty() ? kUnits.npos : kUnits.find(text.back());
  const double number =
      unit == kUnits.npos ? 0 : parse_number<double>(text.substr(0, text.size() - 1), option);
  if (!(number > 0)) {
    fail(ExitCode::kUsage, "{}: '{}' is no time; expected one such as 90s, 10m or 2h", option,
         text);
  }
  return number * kSeconds[unit];
}

BudgetedRun fit_budget(const std::vector<int64_t>& lengths, const WorkOf& count_work,
                       const SecondsOf& seconds_of, double budget_seconds) {
  BudgetedRun run{.lengths = lengths};
  std::vector<EvalWork> kept;
  while (true) {
    for (const double share : {1.0, 0.5, 0.25}) {
      run.share = share;
      kept = count_work(run.lengths.back(), share);
      run.seconds = 0;
      for (const EvalWork& work : kept) run.seconds += seconds_of(work);
      if (run.seconds <= budget_seconds) break;
    }
    if (run.seconds <= budget_seconds || run.lengths.size() == 1) break;
    run.dropped.push_back(fmt::format("length {}", run.lengths.back()));
    run.lengths.pop_back();
  }
  for (auto& fewer : fewer_items(count_work(run.lengths.back(), 1), kept)) {
    run.dropped.push_back(std::move(fewer));
  }
  return run;
}

BudgetedRun keep_budget(DrawnTasks& tasks, const EvalSubject& subject,
                        const std::vector<NamedArm>& arms, const std::vector<int64_t>& lengths,
                        AnswerJournal& journal, double budget_seconds) {
  const WorkOf keep_and_count = [&](int64_t longest, double share) {
    for (const auto& task : tasks) task->keep(longest, share);
    return work_of(tasks, subject, arms);
  };
  EvalRun first_items(subject, arms, lengths, keep_and_count(lengths.front(), 0), journal);
  for (const auto& task : tasks) {
    try {
      first_items.run(*task);
    } catch (const Error& e) {
      // What a few items do not have all of them may: longppl's key tokens.
      if (e.code() != ExitCode::kData) throw;
    }
  }
  const EvalProgress& measured = first_items.progress();
  const auto seconds_of = [&](const EvalWork& work) { return measured.seconds_of(work); };
  BudgetedRun run = fit_budget(lengths, keep_and_count, seconds_of, budget_seconds);
  for (const auto& task : tasks) task->keep(run.lengths.back(), run.share);
  return run;
}

}  // namespace longspan
