#include "trainer/eval/eval_task.h"

#include "trainer/eval/passkey.h"
#include "trainer/eval/perplexity.h"
#include "trainer/eval/tasks/cloze.h"
#include "trainer/eval/tasks/jsonl.h"
#include "trainer/eval/tasks/key_value.h"
#include "trainer/eval/tasks/long_perplexity.h"
#include "trainer/eval/tasks/needle.h"
#include "trainer/eval/tasks/position_loss.h"
#include "trainer/eval/tasks/ruler.h"
#include "trainer/eval/tasks/threading.h"
#include "trainer/eval/tasks/window_perplexity.h"

namespace longspan {

namespace {

template <class Task>
std::unique_ptr<EvalTask> make() {
  return std::make_unique<Task>();
}

struct Entry {
  std::string_view name;
  std::unique_ptr<EvalTask> (*make)();
};

constexpr Entry kTasks[] = {
    {"perplexity", make<Perplexity>},
    {"passkey", make<Passkey>},
    {"needle", make<NeedleTask>},
    {"kv", make<KeyValueTask>},
    {"threading", make<ThreadingTask>},
    {"ruler", make<RulerTask>},
    {"cloze", make<ClozeTask>},
    {"jsonl", make<JsonlTask>},
    {"window_perplexity", make<WindowPerplexity>},
    {"position_loss", make<PositionLoss>},
    {"longppl", make<LongPerplexity>},
};

}  // namespace

std::vector<std::string> eval_tasks() {
  std::vector<std::string> names;
  for (const auto& entry : kTasks) names.emplace_back(entry.name);
  return names;
}

std::vector<std::string> eval_task_keys() {
  std::vector<std::string> keys;
  for (const auto& entry : kTasks) {
    const Json defaults = entry.make()->write();
    for (const auto& [key, value] : defaults.items()) {
      keys.push_back(fmt::format("{}.{}={}", entry.name, key, value.dump()));
    }
  }
  return keys;
}

std::unique_ptr<EvalTask> make_eval_task(std::string_view name) {
  for (const auto& entry : kTasks) {
    if (entry.name == name) return entry.make();
  }
  return nullptr;
}

}  // namespace longspan
