#include "trainer/eval/eval_progress.h"

#include <algorithm>
#include <numeric>

#include "src/core/text.h"
#include "trainer/figures/table.h"

namespace longspan {

EvalProgress::EvalProgress(std::vector<EvalWork> work) {
  for (auto& entry : work) kinds_.push_back({.work = std::move(entry)});
}

/// Of questions to one passage the first alone reads it.
double EvalProgress::Kind::flops_done() const {
  const auto first = work.item_flops.begin();
  return std::reduce(first, first + std::min(done, work.items()));
}

EvalProgress::Kind* EvalProgress::kind_of(const std::string& task, const std::string& arm,
                                          int64_t length) {
  for (Kind& kind : kinds_) {
    if (kind.work.task == task && kind.work.arm == arm && kind.work.length == length) return &kind;
  }
  return nullptr;
}

void EvalProgress::done(const std::string& task, const std::string& arm, int64_t length,
                        double seconds) {
  Kind* kind = kind_of(task, arm, length);
  if (!kind) return;
  ++kind->done;
  latest_ = static_cast<size_t>(kind - kinds_.data());
  kind->seconds += seconds;
}

int64_t EvalProgress::items() const {
  int64_t items = 0;
  for (const Kind& kind : kinds_) items += kind.work.items();
  return items;
}

int64_t EvalProgress::items_done() const {
  int64_t done = 0;
  for (const Kind& kind : kinds_) done += kind.done;
  return done;
}

double EvalProgress::seconds_per_flop(const std::function<bool(const EvalWork&)>& is_alike) const {
  double flops = 0, seconds = 0;
  for (const Kind& kind : kinds_) {
    if (!is_alike(kind.work)) continue;
    flops += kind.flops_done();
    seconds += kind.seconds;
  }
  return flops > 0 ? seconds / flops : 0;
}

double EvalProgress::seconds_of(const EvalWork& work) const {
  const auto of_task_and_arm = [&](const EvalWork& other) {
    return other.task == work.task && other.arm == work.arm;
  };
  const std::function<bool(const EvalWork&)> alike[] = {
      [&](const EvalWork& other) { return of_task_and_arm(other) && other.length == work.length; },
      of_task_and_arm, [&](const EvalWork& other) { return other.arm == work.arm; },
      [](const EvalWork&) { return true; }};
  for (const auto& is_alike : alike) {
    if (const double rate = seconds_per_flop(is_alike); rate > 0) return rate * work.flops();
  }
  return 0;
}

double EvalProgress::seconds_left() const {
  double left = 0;
  for (const Kind& kind : kinds_) {
    EvalWork rest = kind.work;
    rest.item_flops.erase(rest.item_flops.begin(),
                          rest.item_flops.begin() + std::min(kind.done, rest.items()));
    left += seconds_of(rest);
  }
  return left;
}

std::string EvalProgress::line() const {
  const EvalWork& work = kinds_.at(latest_).work;
  return fmt::format("{} of {} items, {} by {} at {}; {}, about {} to go", items_done(), items(),
                     work.task, work.arm, length_label(work.length),
                     human_duration(stopwatch_.seconds()), human_duration(seconds_left()));
}

}  // namespace longspan
