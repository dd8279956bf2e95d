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

std::unique_ptr<EvalTask> make_eval_task(std::string_view name) {
  for (const auto& entry : kTasks) {
    if (entry.name == name) return entry.make();
  }
  return nullptr;
}

}  // namespace longspan
