#include "trainer/eval/eval_work.h"

#include <algorithm>
#include <map>

#include "trainer/eval/tasks/evaluated_text.h"

namespace longspan {

namespace {

/// A generated token takes about as long as reading so many: it reads all weights for itself alone.
constexpr double kTokensReadInTheTimeOfOne = 30;

double flops_of(const Arm& arm, CausalLm& model, const AskedItem& item) {
  const int64_t tokens = arm.tokens_to_read(model, item.length);
  const double reading = arm.flops(model, item.length, tokens);
  const bool reads = item.begins_passage || !arm.shares_passages();
  const double token = reading / static_cast<double>(tokens);
  return (reads ? reading : 0) +
         kTokensReadInTheTimeOfOne * token * static_cast<double>(item.new_tokens);
}

EvalWork& entry_of(std::vector<EvalWork>& work, const AskedItem& item, const std::string& arm) {
  const auto known = std::ranges::find_if(work, [&](const EvalWork& entry) {
    return entry.task == item.task && entry.arm == arm && entry.length == item.length;
  });
  if (known != work.end()) return *known;
  return work.emplace_back(EvalWork{item.task, arm, item.length, {}});
}

}  // namespace

DrawnTasks draw_tasks(const EvalTasks& tasks, const EvalSubject& subject,
                      const EvalOptions& options) {
  DrawnTasks drawn;
  for (const auto& task : tasks) drawn.push_back(task->draw(subject, options));
  return drawn;
}

std::vector<EvalWork> work_of(const DrawnTasks& tasks, const EvalSubject& subject,
                              const std::vector<NamedArm>& arms,
                              const std::function<void(const AskedItem&)>& on_item) {
  std::vector<EvalWork> work;
  std::map<std::pair<std::string, std::string>, int64_t> scored;  // tokens of an arm and a text
  for (const auto& drawn : tasks) {
    const auto on_drawn = [&](const AskedItem& item) {
      if (on_item) on_item(item);
      const std::string text = item.ids.empty() ? std::string() : ids_digest(item.ids);
      for (const NamedArm& arm : arms) {
        if (!arm.does(drawn->task())) continue;
        EvalWork& entry = entry_of(work, item, arm.label);
        double& flops = entry.item_flops.emplace_back(0);
        if (!text.empty()) {
          int64_t& tokens = scored[{arm.label, text}];
          if (item.scored_tokens <= tokens) continue;
          tokens = item.scored_tokens;
        }
        flops = flops_of(*arm.arm, arm.model ? *arm.model : subject.model, item);
      }
    };
    EvalSubject drawing = subject;
    drawing.arm = std::make_shared<DrawingArm>(drawn->task(), on_drawn);
    drawn->run(drawing);
  }
  return work;
}

}  // namespace longspan
