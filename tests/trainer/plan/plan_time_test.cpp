#include "trainer/plan/plan_time.h"

#include <gtest/gtest.h>

#include "tests/trainer/plan/tiny_plan.h"

namespace longspan {
namespace {

TEST(PlanTime, TwiceTheRatesIsHalfTheTime) {
  KernelRates rates, twice;
  twice.linear_gflops *= 2;
  twice.linear_backward_gflops *= 2;
  twice.head_gflops *= 2;
  twice.attention_forward_gflops *= 2;
  twice.attention_backward_gflops *= 2;
  twice.elementwise_gb_per_second *= 2;
  const MemoryOptions memory = default_memory_options();
  const Stage stage = tiny_stage(4096);
  const MemoryPlan bytes = plan_memory(tiny_shape(), stage, memory);
  EXPECT_NEAR(plan_time(tiny_shape(), stage, memory, bytes, twice).total(),
              plan_time(tiny_shape(), stage, memory, bytes, rates).total() / 2, 1e-9);
}

TEST(PlanTime, FullFineTuningMultipliesForTheGradientsOfTheWeightsToo) {
  const Stage stage = tiny_stage(4096);
  const MemoryOptions memory = recomputing(Recompute::kNone);
  const auto seconds = [&](const RunShape& shape) {
    return plan_time(shape, stage, memory, plan_memory(shape, stage, memory), KernelRates());
  };
  const TimePlan whole = seconds(tiny_shape({.none = true})), adapter = seconds(tiny_shape());
  EXPECT_DOUBLE_EQ(whole.linears_backward, 2 * adapter.linears_backward);
  EXPECT_EQ(whole.linears_forward, adapter.linears_forward);
  EXPECT_GT(whole.optimizer, adapter.optimizer);
}

TEST(PlanTime, RecomputingCostsAndASlowDiskIsWaitedFor) {
  const Stage stage = tiny_stage(4096);
  const auto seconds = [&](const MemoryOptions& memory, const KernelRates& rates) {
    const MemoryPlan bytes = plan_memory(tiny_shape(), stage, memory);
    return plan_time(tiny_shape(), stage, memory, bytes, rates);
  };
  EXPECT_LT(seconds(recomputing(Recompute::kNone), {}).total(),
            seconds(recomputing(Recompute::kSelective), {}).total());
  EXPECT_EQ(seconds(recomputing(Recompute::kSelective), {}).attention_recomputed, 0);
  EXPECT_GT(seconds(recomputing(Recompute::kLayer), {}).attention_recomputed, 0);
  MemoryOptions memory = default_memory_options();
  memory.offload = Offload::kDisk;
  KernelRates slow;
  slow.disk_read_gb_per_second = 1e-3;
  EXPECT_EQ(seconds(default_memory_options(), slow).disk, 0);
  EXPECT_GT(seconds(memory, slow).disk, 0);
}

TEST(PlanTime, ShortWindowsAreForwardPassesOverManyTimesTheTokens) {
  const Stage stage = tiny_stage(8 * 1024);
  const MemoryOptions memory = recomputing(Recompute::kNone);
  RunShape shape = tiny_shape();
  const MemoryPlan bytes = plan_memory(shape, stage, memory);
  const TimePlan plain = plan_time(shape, stage, memory, bytes, KernelRates());
  shape.short_context = {.tokens = 1025, .step = 1024};
  // Windows of 2,048 tokens from 1,024 on: of 8 places of 1,024 the last 6.
  const TimePlan weighed = plan_time(shape, stage, memory, bytes, KernelRates());
  EXPECT_DOUBLE_EQ(weighed.linears_forward, (1 + 6 * 2 / 8.0) * plain.linears_forward);
  EXPECT_DOUBLE_EQ(weighed.linears_backward, plain.linears_backward);
  EXPECT_GT(weighed.head, plain.head);
  EXPECT_GE(plan_memory(shape, stage, memory).validation, 2048 * 36 * 2);
}

/// Chunks cut the rows of a pass, all at once: each dequantises the weights once.
TEST(PlanTime, QuantisedWeightsAreMadeOnceAChunkOfARow) {
  RunShape shape = tiny_shape();
  shape.quantization = Quantization::kNf4;
  MemoryOptions memory = recomputing(Recompute::kLayer);
  const auto seconds = [&](int64_t rows, int64_t tokens, int64_t chunk) {
    Stage stage = tiny_stage(tokens);
    stage.batch_size = rows;
    memory.chunk_tokens = chunk;
    const MemoryPlan bytes = plan_memory(shape, stage, memory);
    return plan_time(shape, stage, memory, bytes, KernelRates()).elementwise;
  };
  EXPECT_DOUBLE_EQ(seconds(8, 1024, 2048), seconds(8, 1024, 0));
  const double once_more = seconds(2, 4096, 2048) - seconds(2, 4096, 0);
  EXPECT_GT(once_more, 0);
  EXPECT_NEAR(seconds(2, 4096, 1536) - seconds(2, 4096, 0), 2 * once_more, 1e-12);
}

TEST(PlanTime, AGpuAddsToTheGradientOfTheHeadOnceAGigabyteOfLogits) {
  const Stage stage = tiny_stage(8 * 1024);
  const MemoryOptions memory = recomputing(Recompute::kNone);
  const KernelRates rates;
  RunShape shape = tiny_shape();
  shape.trains_head = true;
  shape.loss_chunk_tokens = 512;
  const auto head_on = [&](at::Device device) {
    shape.device = device;
    return plan_time(shape, stage, memory, plan_memory(shape, stage, memory), rates).head;
  };
  const double once = 8e-9 * static_cast<double>(shape.config.vocab_size) *
                      static_cast<double>(shape.config.hidden_size) /
                      rates.elementwise_gb_per_second;
  EXPECT_NEAR((head_on(at::kCPU) - head_on(at::kCUDA)) / once, 8 * 1024 / 512 - 1, 1e-6);
}

TEST(PlanTime, CopiesToRamAreWaitedForBeyondWhatAGpuComputesMeanwhile) {
  RunShape shape = tiny_shape();
  shape.device = at::kCUDA;
  const MemoryOptions memory = offloading_to_ram();
  Stage stage = tiny_stage(4096);
  stage.gradient_accumulation_steps = 3;
  const MemoryPlan bytes = plan_memory(shape, stage, memory);
  KernelRates rates;
  rates.host_copy_gb_per_second = 1e6;
  EXPECT_EQ(plan_time(shape, stage, memory, bytes, rates).host_copy, 0);
  rates.host_copy_gb_per_second = 1e-3;
  const TimePlan slow = plan_time(shape, stage, memory, bytes, rates);
  const double computed = slow.linears_forward + slow.attention_forward + slow.linears_recomputed +
                          slow.attention_recomputed + slow.linears_backward +
                          slow.attention_backward;
  // The inputs of 2 layers, 4096 tokens of 36 bfloat16, there and back in each of 3 passes.
  EXPECT_NEAR(slow.host_copy, 2 * 3 * 2 * 4096 * 36 * 2 / 1e6 - computed, 1e-9);
  shape.device = at::kCPU;
  EXPECT_EQ(plan_time(shape, stage, memory, bytes, rates).host_copy, 0);
}

}  // namespace
}  // namespace longspan
