#include <gmock/gmock.h>

#include "tests/trainer/plan/planned_models.h"
#include "trainer/plan/plan.h"

namespace longspan {
namespace {

using testing::HasSubstr;
using testing::Not;

RunShape on_gpu(RunShape shape) {
  shape.device = at::kCUDA;
  return shape;
}

TEST(GpuPlan, OnAGpuOffloadsToRamWhereNothingElseFits) {
  Machine machine = machine_with(24 * kGiB);
  const RunShape shape = on_gpu(shape_of());
  const auto stages = stages_of(98304);
  EXPECT_FALSE(plan_run(shape, stages, {}, machine).fits());
  for (const Remedy& remedy : remedies(shape, stages, {}, machine)) {
    EXPECT_THAT(remedy.change, Not(HasSubstr("mapped")));
  }
  machine.available_ram_bytes = 100 * kGiB;
  const Plan plan = plan_run(shape, stages, {}, machine);
  EXPECT_TRUE(plan.fits());
  EXPECT_EQ(plan.memory.offload, Offload::kRam);
  EXPECT_EQ(plan.memory.offload_ram, 95 * kGiB);
  EXPECT_FALSE(plan_run(shape, stages, {.offload = Offload::kNone}, machine).fits());
  machine.available_ram_bytes = 10 * kGiB;
  EXPECT_FALSE(
      plan_run(shape, stages, {.offload = Offload::kRam, .offload_ram = 500 * kGiB}, machine)
          .fits());
}

// The rates that an H100 is said to reach: products at 600 TFLOP/s, FlashAttention-2 at 370 and
// 300.
KernelRates h100_rates() {
  KernelRates rates;
  rates.linear_gflops = rates.linear_backward_gflops = rates.head_gflops = 600e3;
  rates.attention_forward_gflops = 370e3;
  rates.attention_backward_gflops = 300e3;
  rates.elementwise_gb_per_second = 2300;
  rates.host_copy_gb_per_second = 50;  // PCIe 5
  return rates;
}

Machine h100(int64_t ram) {
  Machine machine = machine_with(79 * kGiB);
  machine.rates = h100_rates();
  machine.usual = usual_rates(at::kCUDA);
  machine.available_ram_bytes = ram;
  return machine;
}

TEST(GpuPlan, OnAGpuKeepsWhatAttentionComputed) {
  const LoraOptions lora{.r = 8,
                         .target_modules = {"q_proj", "k_proj", "v_proj", "o_proj"},
                         .modules_to_save = {"embed_tokens", "norm"}};
  const RunShape shape = on_gpu(shape_of(Quantization::kNf4, lora));
  const Plan plan = plan_run(shape, stages_of(98304), {}, h100(110 * kGiB));
  EXPECT_TRUE(plan.fits());
  EXPECT_EQ(plan.memory.recompute, Recompute::kSelectivePlusPlus);
  EXPECT_EQ(plan.memory.offload, Offload::kNone);
  EXPECT_LE(plan.run_seconds() / 10, 14.2);
  // A smaller GPU has no room for it, but RAM beside it has, at no cost in time.
  Machine smaller = h100(110 * kGiB);
  smaller.available_bytes = 48 * kGiB;
  const Plan offloaded = plan_run(shape, stages_of(98304), {}, smaller);
  EXPECT_TRUE(offloaded.fits());
  EXPECT_NE(offloaded.memory.recompute, Recompute::kLayer);
  EXPECT_EQ(offloaded.memory.offload, Offload::kRam);
  EXPECT_EQ(offloaded.stages.front().step.host_copy, 0);
  EXPECT_LE(offloaded.run_seconds() / 10, 14.2);
  const Plan layer = plan_run(shape, stages_of(98304), {.recompute = Recompute::kLayer}, h100(0));
  EXPECT_TRUE(layer.fits());
  EXPECT_GT(layer.run_seconds() / 10, 15);
}

TEST(GpuPlan, KeepsWhatAttentionComputedInAsManyLayersAsHaveRoom) {
  const LoraOptions lora{.r = 8, .modules_to_save = {"embed_tokens", "norm"}};
  const RunShape dense = on_gpu(shape_of(Quantization::kNone, lora));
  Machine machine = h100(/*ram=*/0);
  machine.available_bytes = 64 * kGiB;
  const Plan plan = plan_run(dense, stages_of(98304), {}, machine);
  EXPECT_TRUE(plan.fits());
  EXPECT_EQ(plan.memory.recompute, Recompute::kLayer);
  EXPECT_EQ(plan.memory.recompute_rest, Recompute::kSelectivePlusPlus);
  EXPECT_LT(*plan.memory.recompute_num_layers, 32);
  MemoryOptions one_less = plan.memory;
  --*one_less.recompute_num_layers;
  EXPECT_FALSE(plan_run(dense, stages_of(98304), one_less, machine).fits());
  const Plan layer = plan_run(dense, stages_of(98304), {.recompute = Recompute::kLayer}, machine);
  EXPECT_LT(plan.run_seconds(), layer.run_seconds());
}

/// In NF4, with adapters of rank 32 on all its projections.
RunShape llama3_8b() {
  ModelConfig config = llama2_7b();
  config.vocab_size = 128256;
  config.intermediate_size = 14336;
  config.num_key_value_heads = 8;
  const LoraOptions lora{.r = 32,
                         .target_modules = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj",
                                            "up_proj", "down_proj"}};
  return on_gpu(run_shape(config, lora, at::kBFloat16, Quantization::kNf4,
                          /*loss_chunk_tokens=*/512, /*threads=*/2));
}

TEST(GpuPlan, EightBillionAt350KFitAnH100And100GBOfRam) {
  Machine machine = h100(100'000'000'000);
  machine.available_bytes = 80'000'000'000;
  const RunShape shape = llama3_8b();
  const auto stages = stages_of(350208, "full");
  const Plan layer = plan_run(shape, stages, {.recompute = Recompute::kLayer}, machine);
  EXPECT_TRUE(layer.fits());
  EXPECT_EQ(layer.memory.offload, Offload::kRam);
  EXPECT_GT(*layer.memory.chunk_tokens, 0);
  EXPECT_EQ(layer.peak().stored, int64_t{32} * 350208 * 4096 * 2);
  // Some layers keep what attention computed: a tensor of theirs has room in RAM, the others stay.
  const Plan plan = plan_run(shape, stages, {}, machine);
  EXPECT_TRUE(plan.fits());
  EXPECT_EQ(plan.memory.offload, Offload::kRam);
  EXPECT_EQ(plan.memory.recompute, Recompute::kLayer);
  EXPECT_EQ(plan.memory.recompute_rest, Recompute::kSelectivePlusPlus);
  EXPECT_LE(plan.peak().stored, *plan.memory.offload_ram);
  EXPECT_GT(plan.peak().kept, 0);
  EXPECT_LT(plan.run_seconds(), 0.95 * layer.run_seconds());
}

TEST(GpuPlan, EightBillionAt500KKeepOnTheGpuWhatHasNoRoomInRam) {
  const Plan plan = plan_run(llama3_8b(), stages_of(500000, "full"), {}, h100(110 * kGiB));
  EXPECT_TRUE(plan.fits());
  const int64_t kept = int64_t{32} * 500000 * 4096 * 2;
  EXPECT_LT(plan.peak().stored, kept);
  EXPECT_GE(plan.peak().stored + plan.peak().kept, kept);
}

// What bench step --device cuda had at its peak on an H100, 26 November 2026 (docs/performance.md).
// Since then q, k and v wait for the MLP's backward, 2.3 GiB more.
TEST(GpuPlan, OnAGpuIsWithinATenthOfWhatWasMeasured) {
  const LoraOptions lora{.r = 8, .modules_to_save = {"embed_tokens", "norm"}};
  const MemoryOptions layer{.recompute = Recompute::kLayer, .chunk_tokens = 0};
  RunShape shape = on_gpu(shape_of(Quantization::kNone, lora));
  shape.loss_chunk_tokens = 512;
  const Plan plan = plan_run(shape, stages_of(98304), layer, machine_with(80 * kGiB));
  EXPECT_NEAR(static_cast<double>(plan.peak().total()) / (53832.0 * kMiB), 1, 0.1);
}

}  // namespace
}  // namespace longspan
