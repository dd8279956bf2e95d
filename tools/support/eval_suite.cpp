#include "tools/support/eval_suite.h"

#include "src/core/text.h"

namespace longspan {

namespace {

/// Every setting is of a task of its suite. position_loss comes before perplexity, which takes the
/// losses of the longest length from it (trainer/eval/eval_run.h).
///
/// `standard` is to take less than 45 minutes for six arms of SmolLM2-135M on 2 cores, and does so
/// in docs/results/standard.json. Pairs of UUIDs took ten minutes more, and are in `extended`.
/// `full` has all tasks of RULER that need no file of their own; 1K does not hold an item of cwe.
const std::vector<EvalSuite>& suites() {
  static const std::vector<EvalSuite> all{
      {.name = "quick",
       .tasks = "passkey,needle",
       .text_tasks = "perplexity",
       .lengths = "512,1K,2K",
       .settings = {"passkey.trials=1", "needle.trials=1", "perplexity.documents=4",
                    "perplexity.targets=256"}},
      {.name = "standard",
       .tasks = "passkey,needle",
       .text_tasks = "position_loss,perplexity,cloze",
       .lengths = "4K,8K,16K,32K",
       .settings = {"passkey.trials=1", "passkey.depths=[0.5]", "needle.trials=1",
                    "perplexity.documents=3", "position_loss.documents=3"}},
      {.name = "extended",
       .tasks = "passkey,needle,kv,threading",
       .text_tasks = "position_loss,perplexity,cloze",
       .lengths = "1K,2K,4K,8K,16K,32K",
       .settings = {"passkey.trials=2", "needle.trials=3", "kv.trials=3", "threading.trials=3",
                    "perplexity.documents=16", "position_loss.documents=8"}},
      {.name = "full",
       .tasks = "passkey,needle,kv,threading,ruler",
       .text_tasks = "position_loss,perplexity,window_perplexity,longppl,cloze",
       .lengths = "2K,4K,8K,16K,32K",
       .settings = {"passkey.trials=10", "needle.trials=10", "kv.trials=10", "threading.trials=10",
                    "ruler.samples=50",
                    "ruler.tasks=[niah_single_1, niah_single_2, niah_single_3, niah_multikey_1, "
                    "niah_multikey_2, niah_multikey_3, niah_multivalue, niah_multiquery, vt, cwe, "
                    "fwe]"}}};
  return all;
}

}  // namespace

std::vector<std::string> eval_suites() {
  std::vector<std::string> names;
  for (const EvalSuite& suite : suites()) names.emplace_back(suite.name);
  return names;
}

const EvalSuite& find_eval_suite(const std::string& name) {
  for (const EvalSuite& suite : suites()) {
    if (suite.name == name) return suite;
  }
  const auto known = eval_suites();
  fail(ExitCode::kUsage, "--suite: '{}' is not known{}; expected one of {}", name,
       did_you_mean(name, known), join(known, ", "));
}

}  // namespace longspan
