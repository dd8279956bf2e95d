#include "trainer/observers/progress.h"

#include <gmock/gmock.h>

#include "tests/trainer/trainer_run.h"

namespace longspan {
namespace {

TEST_F(TrainerRun, ProgressSaysInWhichLayersThePatternOfAStepIs) {
  const Json keys = {{"pattern", "shifted_sparse"}, {"layers", {1}}};
  Diagnostics diagnostics;
  std::vector<Stage> stages = two_stages();
  stages[0].attention = read_attention_pattern(Fields(keys, diagnostics));
  auto tiny = model();
  auto run = trainer(*tiny, stages);
  run->add(std::make_unique<Progress>());
  testing::internal::CaptureStderr();
  run->run();
  const std::string told = testing::internal::GetCapturedStderr();
  EXPECT_THAT(told,
              testing::ContainsRegex("step 3/6 [^\n]*  32 shifted_sparse in 1 of 2 layers  ETA"));
  EXPECT_THAT(told, testing::ContainsRegex("step 4/6 [^\n]*  96 full  ETA"));
  EXPECT_EQ(records_[2].attention, "shifted_sparse");
}

}  // namespace
}  // namespace longspan
