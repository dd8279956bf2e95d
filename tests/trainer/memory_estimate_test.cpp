#include "trainer/memory_estimate.h"

#include <gmock/gmock.h>

#include "tests/support/tiny_llama.h"

namespace longspan {
namespace {

MemoryEstimate estimate(int64_t seq_len, bool recompute = true) {
  Stage stage{.steps = 1, .seq_len = seq_len};
  return estimate_memory(tiny_llama_config(), {}, {stage}, {.recompute = recompute}, 2);
}

TEST(MemoryEstimate, GrowsWithTheSequenceAndWithoutRecompute) {
  EXPECT_EQ(estimate(8192).layer_inputs, 2 * estimate(4096).layer_inputs);
  EXPECT_EQ(estimate(8192).weights, estimate(4096).weights);
  EXPECT_EQ(estimate(4096, false).activations, 2 * estimate(4096).activations);  // 2 layers
}

TEST(MemoryEstimate, TakesTheLargestStage) {
  std::vector<Stage> stages = {{.steps = 1, .seq_len = 64}, {.steps = 1, .seq_len = 4096}};
  EXPECT_EQ(estimate_memory(tiny_llama_config(), {}, stages, {}, 2).total(),
            estimate(4096).total());
}

TEST(MemoryEstimate, RefusesWhatDoesNotFitAndNamesTheKnob) {
  MemoryEstimate large = estimate(int64_t{1} << 26);
  EXPECT_NO_THROW(require_memory(large, large.total()));
  EXPECT_NO_THROW(require_memory(large, 0));
  try {
    require_memory(large, large.total() - 1);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kOutOfMemory);
    EXPECT_THAT(e.what(), testing::HasSubstr("lower batch_size or seq_len"));
  }
}

}  // namespace
}  // namespace longspan
