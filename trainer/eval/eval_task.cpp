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

constexpr SettableEntry<EvalTask> kTasks[] = {
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

std::vector<std::string> eval_tasks() { return names_in<EvalTask>(kTasks); }

std::vector<std::string> eval_task_keys() { return keys_in<EvalTask>(kTasks); }

std::unique_ptr<EvalTask> make_eval_task(std::string_view name) {
  return make_from<EvalTask>(kTasks, name);
}

}  // namespace longspan
