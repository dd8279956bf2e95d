#include "trainer/eval/eval_task.h"

#include "trainer/eval/passkey.h"
#include "trainer/eval/perplexity.h"

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
