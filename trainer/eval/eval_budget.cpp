#include "trainer/eval/eval_budget.h"

#include <algorithm>

#include "src/core/stopwatch.h"
#include "src/core/text.h"
#include "trainer/eval/arms/full.h"
#include "trainer/eval/logit_comparison.h"
#include "trainer/eval/window_loss.h"

namespace longspan {

namespace {

double seconds_of(const std::vector<EvalWork>& work, int64_t longest, double share,
                  double flops_per_second) {
  double flops = 0;
  for (const EvalWork& entry : work) {
    if (entry.length > longest) continue;
    const auto items = static_cast<double>(entry.items);
    flops += entry.flops / items * std::max(1.0, share * items);
  }
  return flops / flops_per_second;
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

BudgetedRun fit_budget(const std::vector<EvalWork>& work, const std::vector<int64_t>& lengths,
                       double flops_per_second, double budget_seconds) {
  BudgetedRun run{.lengths = lengths};
  while (true) {
    for (const double share : {1.0, 0.5, 0.25}) {
      run.share = share;
      run.seconds = seconds_of(work, run.lengths.back(), share, flops_per_second);
      if (run.seconds <= budget_seconds) break;
    }
    if (run.seconds <= budget_seconds || run.lengths.size() == 1) break;
    run.dropped.push_back(fmt::format("length {}", run.lengths.back()));
    run.lengths.pop_back();
  }
  if (run.share < 1)
    run.dropped.push_back(fmt::format("{:.0f} % of the items", 100 - 100 * run.share));
  return run;
}

double measure_flops_per_second(CausalLm& model) {
  constexpr int64_t kTokens = 512;
  const auto ids = made_ids(kTokens, model.config().vocab_size);
  window_losses(model, ids, 1);
  const Stopwatch stopwatch;
  window_losses(model, ids, 1);
  return FullArm().flops(model, kTokens, kTokens) / stopwatch.seconds();
}

}  // namespace longspan
