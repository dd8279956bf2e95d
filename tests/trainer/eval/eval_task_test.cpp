#include "trainer/eval/eval_task.h"

#include <gmock/gmock.h>

namespace longspan {
namespace {

using ::testing::Contains;

TEST(EvalTask, EachIsMadeByItsName) {
  for (const auto& name : eval_tasks()) EXPECT_EQ(make_eval_task(name)->name(), name);
  EXPECT_EQ(make_eval_task("perplexty"), nullptr);
}

TEST(EvalTask, ReadsWhatItWrites) {
  for (const auto& name : eval_tasks()) {
    auto task = make_eval_task(name);
    const Json keys = task->write();
    Diagnostics diagnostics;
    Fields fields(keys, diagnostics);
    task->read(fields);
    fields.finish();
    EXPECT_TRUE(diagnostics.empty()) << name << ": " << diagnostics.errors().front();
    EXPECT_EQ(task->write(), keys);
  }
}

TEST(EvalTask, KeysAreListedWithTheirDefaults) {
  EXPECT_THAT(eval_task_keys(), Contains("passkey.trials=3"));
  EXPECT_THAT(eval_task_keys(), Contains("perplexity.targets=512"));
}

}  // namespace
}  // namespace longspan
