#include "trainer/plan/plan_memory.h"

#include <ATen/ops/randint.h>
#include <gtest/gtest.h>

#include "src/core/processor.h"
#include "src/model/apply_lora.h"
#include "src/nn/activation_store.h"
#include "tests/support/tiny_llama.h"
#include "trainer/plan/plan_time.h"

namespace longspan {
namespace {

const LoraOptions kAttentionOnly{.r = 4, .target_modules = {"q_proj"}, .modules_to_save = {"norm"}};

RunShape tiny_shape(const LoraOptions& lora = kAttentionOnly,
                    Quantization quantization = Quantization::kNone) {
  return run_shape(tiny_llama_config(), lora, at::kBFloat16, quantization, 1024, 2);
}

Stage stage_of(int64_t seq_len) {
  return {.steps = 1, .seq_len = seq_len, .attention = make_attention_pattern("full")};
}

MemoryOptions with(Recompute recompute) {
  MemoryOptions memory = default_memory_options();
  memory.recompute = recompute;
  return memory;
}

MemoryPlan planned(int64_t seq_len, const MemoryOptions& memory = default_memory_options()) {
  return plan_memory(tiny_shape(), stage_of(seq_len), memory);
}

// tiny_llama: 2 layers, hidden_size 36, 9 heads of 8, bfloat16.
TEST(PlanMemory, SelectiveKeepsBothResidualsAndWhatAttentionComputed) {
  EXPECT_EQ(planned(1000).kept, 2 * 1000 * (2 * 36 * 2 + 9 * 8 * 2 + 9 * 4));
}

TEST(PlanMemory, StoresWhatAForwardPassPutsIntoTheStore) {
  if (processor() == Processor::kNone) GTEST_SKIP() << "attention is kept by flash kernels alone";
  ModelConfig config = tiny_llama_config();
  config.head_dim = 16;
  const RunShape shape =
      run_shape(config, kAttentionOnly, at::kBFloat16, Quantization::kNone, 1024, 2);
  auto model = random_model(config, /*seed=*/1, at::kBFloat16);
  apply_lora(*model, kAttentionOnly);
  for (Recompute recompute :
       {Recompute::kSelective, Recompute::kSelectivePlusPlus, Recompute::kLayer}) {
    const auto store = std::make_shared<ActivationStore>(ActivationStoreOptions{});
    model->set_activations({.recompute = {.what = recompute, .store = store}});
    const at::Tensor ids = at::randint(config.vocab_size, {1, 100}, at::kLong);
    const at::Tensor hidden = model->hidden_states({ids, {}, {}});
    const MemoryPlan plan = plan_memory(shape, stage_of(100), with(recompute));
    EXPECT_EQ(store->bytes_in_ram(), plan.stored);
  }
}

// q_proj: from 36 to 9 heads of 8.
TEST(PlanMemory, DoraKeepsItsProjectionsOutputsBeforeTheyAreScaled) {
  LoraOptions dora = kAttentionOnly;
  dora.use_dora = true;
  const MemoryOptions whole = with(Recompute::kNone);
  const MemoryPlan with_dora = plan_memory(tiny_shape(dora), stage_of(1000), whole);
  EXPECT_EQ(with_dora.kept - planned(1000, whole).kept, 2 * 1000 * 9 * 8 * 2);
}

TEST(PlanMemory, DoraWithDropoutKeepsMasksAndDroppedInputs) {
  LoraOptions dora = kAttentionOnly;
  dora.use_dora = true;
  const auto kept = [&] {
    return plan_memory(tiny_shape(dora), stage_of(1000), with(Recompute::kNone)).kept;
  };
  const int64_t without = kept();
  dora.lora_dropout = 0.1;
  EXPECT_EQ(kept() - without, 2 * 1000 * 36 * 2);  // in each layer two for the norm's output
}

TEST(PlanMemory, NothingIsKeptBeforeTheFirstTrainedBlock) {
  LoraOptions lora{.r = 4, .target_modules = {"up_proj"}, .modules_to_save = {}};
  const auto kept = [&](Recompute recompute) {
    return plan_memory(tiny_shape(lora), stage_of(1000), with(recompute)).kept;
  };
  const int64_t input = 1000 * 36 * 2, attended = 1000 * 9 * (8 * 2 + 4);
  EXPECT_EQ(kept(Recompute::kSelective), 3 * input + attended);
  EXPECT_EQ(kept(Recompute::kLayer), 2 * input);
  // The residual, q k v and attention's output, intervals and log-sum-exp of the first layer.
  const int64_t whole = kept(Recompute::kNone);
  lora.modules_to_save = {"layers.0.input_layernorm"};
  EXPECT_EQ(kept(Recompute::kNone) - whole,
            1000 * (36 * 2 + 2 * 9 * 8 * 2 + 2 * 3 * 8 * 2 + 2 * 9 * 4));
  // Without layers to train all are as in a forward pass.
  lora = {.r = 4, .target_modules = {}, .modules_to_save = {"model.norm"}};
  EXPECT_EQ(kept(Recompute::kNone), 0);
  EXPECT_GT(plan_memory(tiny_shape(lora), stage_of(1000), with(Recompute::kNone)).mlp,
            1000 * 2 * (2 * 36 + 3 * 40));
}

// Chunks cut each row.
TEST(PlanMemory, ChunksTakeSoManyTokensOfEachRow) {
  MemoryOptions memory = default_memory_options();
  memory.chunk_tokens = 500;
  Stage rows = stage_of(1000);
  rows.batch_size = 2;
  const auto mlp = [&] { return plan_memory(tiny_shape(), rows, memory).mlp; };
  const int64_t of_500 = mlp();
  memory.chunk_tokens = 1000;
  // gate, up, their product and gradients of 40 for 2 x 500 tokens less. Chunks sum into a gradient
  // of their own, and have a copy of the part's input and of its gradient.
  EXPECT_EQ(mlp() - of_500, 2 * (6 * 1000 * 40 - 2000 * 36 - 2 * 1000 * 36));
}

TEST(PlanMemory, AValidationOfLongerRowsMayBeThePeak) {
  RunShape shape = tiny_shape();
  EXPECT_EQ(plan_memory(shape, stage_of(1000), default_memory_options()).validation, 0);
  shape.validation_seq_len = 100000;
  const MemoryPlan plan = plan_memory(shape, stage_of(1000), default_memory_options());
  EXPECT_GT(plan.validation, 100000 * 36 * 2);  // the residual
  EXPECT_EQ(plan.working, plan.validation - plan.kept);
}

TEST(PlanMemory, LayerKeepsItsInputAlone) {
  EXPECT_EQ(planned(1000, with(Recompute::kLayer)).kept, 2 * 1000 * 36 * 2);
}

TEST(PlanMemory, SelectivePlusPlusKeepsTheLayersInputAndWhatAttentionComputed) {
  EXPECT_EQ(planned(1000, with(Recompute::kSelectivePlusPlus)).kept,
            2 * 1000 * (36 * 2 + 9 * 8 * 2 + 9 * 4));
}

// q of 9 heads of 8, k and v of 3, the intervals, the norm's output of 36 and what A of rank 4
// makes of it; the MLP's input of 36.
TEST(PlanMemory, WhatLeadsToAttentionWaitsForTheMlpWhereItIsMadeFromTheLayersInput) {
  const int64_t waits = 1000 * (2 * 8 * (9 + 2 * 3) + 4 * 9 + 2 * 36 + 2 * 4);
  const int64_t input = 1000 * 2 * 36;
  const int64_t selective = planned(1000, with(Recompute::kSelective)).mlp;
  EXPECT_EQ(planned(1000, with(Recompute::kSelectivePlusPlus)).mlp, selective + waits + input);
  const int64_t result = 1000 * 9 * (2 * 8 + 4);
  EXPECT_EQ(planned(1000, with(Recompute::kLayer)).mlp, selective + waits + input + result);
}

TEST(PlanMemory, KeepsMoreTheLessIsComputedAgain) {
  EXPECT_LT(planned(1000, with(Recompute::kLayer)).kept,
            planned(1000, with(Recompute::kSelectivePlusPlus)).kept);
  EXPECT_LT(planned(1000, with(Recompute::kSelectivePlusPlus)).kept,
            planned(1000, with(Recompute::kSelective)).kept);
  EXPECT_LT(planned(1000, with(Recompute::kSelective)).kept,
            planned(1000, with(Recompute::kNone)).kept);
}

TEST(PlanMemory, ALayerThatRecomputesNothingKeepsAll) {
  MemoryOptions mixed = with(Recompute::kSelective);
  mixed.recompute_num_layers = 1;
  EXPECT_EQ(2 * planned(1000, mixed).kept, planned(1000, with(Recompute::kSelective)).kept +
                                               planned(1000, with(Recompute::kNone)).kept);
}

TEST(PlanMemory, TheOtherLayersKeepWhatTheirModeKeeps) {
  MemoryOptions mixed = with(Recompute::kLayer);
  mixed.recompute_num_layers = 1;
  mixed.recompute_rest = Recompute::kSelectivePlusPlus;
  EXPECT_EQ(2 * planned(1000, mixed).kept,
            planned(1000, with(Recompute::kLayer)).kept +
                planned(1000, with(Recompute::kSelectivePlusPlus)).kept);
  // The last layer's backward comes first, and has freed what it kept before the first one's.
  EXPECT_EQ(planned(1000, mixed).mlp, planned(1000, with(Recompute::kSelectivePlusPlus)).mlp);
}

TEST(PlanMemory, WhatALayerKeepsOfItsMlpIsFreeInItsAttention) {
  // The MLP's residual of 36, gate and up of 40.
  const int64_t of_mlp = 1000 * 2 * (36 + 2 * 40);
  // q, k, v, the intervals, and the norm's output with A's of it are kept there, and made again
  // here; the MLP's residual is free here too.
  const int64_t again = 1000 * (2 * 8 * (9 + 2 * 3) + 4 * 9 + 2 * (36 + 4));
  EXPECT_EQ(planned(1000, with(Recompute::kNone)).attention + of_mlp,
            planned(1000, with(Recompute::kSelective)).attention - again + 1000 * 2 * 36);
}

TEST(PlanMemory, ALayerThatKeepsAllMakesGradientsAlone) {
  const int64_t gate_up_and_product = 3 * 1000 * 2 * 40;
  EXPECT_EQ(
      planned(1000, with(Recompute::kSelective)).mlp - planned(1000, with(Recompute::kNone)).mlp,
      gate_up_and_product);
}

TEST(PlanMemory, WhatTheLastLayersKeptIsFreeWhereOthersComputeAgain) {
  MemoryOptions mixed = with(Recompute::kSelective);
  mixed.recompute_num_layers = 1;
  const MemoryPlan recomputed = planned(1000, with(Recompute::kSelective));
  const MemoryPlan whole = planned(1000, with(Recompute::kNone));
  ASSERT_GT(whole.kept, 2 * recomputed.mlp);  // so that what backward begins with is the peak
  EXPECT_EQ(planned(1000, mixed).working, whole.working);
}

TEST(PlanMemory, AGpuKeepsWhatHasNoRoomInRam) {
  RunShape shape = tiny_shape();
  shape.device = at::kCUDA;
  MemoryOptions memory = with(Recompute::kLayer);
  memory.offload = Offload::kRam;
  memory.offload_ram = int64_t{1} << 40;
  const MemoryPlan all = plan_memory(shape, stage_of(1000), memory);
  const int64_t input = 1000 * 36 * 2, attended = 1000 * 9 * 8 * 2;
  EXPECT_EQ(all.stored, 2 * input);
  EXPECT_EQ(all.kept, 0);
  memory.offload_ram = input + 100;
  const MemoryPlan part = plan_memory(shape, stage_of(1000), memory);
  EXPECT_EQ(part.stored, input + 100);
  EXPECT_EQ(part.kept, input - 100 + attended);  // up to a whole tensor of either kind
}

TEST(PlanMemory, WhatIsKeptGrowsWithTheSequenceAndWeightsDoNot) {
  EXPECT_EQ(planned(8192).kept, 2 * planned(4096).kept);
  EXPECT_EQ(planned(8192).weights, planned(4096).weights);
  EXPECT_EQ(planned(8192).trained, planned(4096).trained);
}

TEST(PlanMemory, TheDiskTakesWhatIsBeyondTheBound) {
  MemoryOptions memory = default_memory_options();
  const int64_t log_sum_exps = 2 * 1000 * 9 * 4;  // stay in RAM
  const int64_t stored = planned(1000).kept - log_sum_exps;
  memory.offload = Offload::kDisk;
  memory.offload_ram = 1000;
  EXPECT_EQ(planned(1000, memory).disk, stored - 1000);
  EXPECT_EQ(planned(1000, memory).kept, 1000 + log_sum_exps);
  memory.offload_ram = stored;
  EXPECT_EQ(planned(1000, memory).disk, 0);
}

TEST(PlanMemory, ChunksShrinkTheMlpAndWhatIsProjected) {
  MemoryOptions memory = default_memory_options();
  memory.chunk_tokens = 1024;
  EXPECT_LT(planned(65536, memory).mlp, planned(65536).mlp);
  const int64_t normed = (65536 - 1024) * 36 * 2;  // the norm's output but for one chunk
  EXPECT_LE(planned(65536, memory).attention, planned(65536).attention - normed);
  EXPECT_EQ(planned(1024, memory).mlp, planned(1024).mlp);
  EXPECT_EQ(planned(1024, memory).attention, planned(1024).attention);
}

TEST(PlanMemory, OptimizerStatesTakeTheirBits) {
  MemoryOptions memory = default_memory_options();
  const int64_t trained = tiny_shape().parameters.trainable();
  EXPECT_EQ(planned(64).trained, trained * (2 + 4 + 8));
  memory.optimizer_state_bits = 8;
  EXPECT_NEAR(static_cast<double>(planned(64, memory).trained), static_cast<double>(trained) * 8.03,
              static_cast<double>(trained) * 0.01);
}

TEST(PlanMemory, AccumulatedGradientsAreFloat32FromTheSecondOn) {
  Stage stage = stage_of(64);
  const int64_t trained = tiny_shape().parameters.trainable();
  const auto plan = [&](int64_t passes) {
    stage.gradient_accumulation_steps = passes;
    return plan_memory(tiny_shape(), stage, default_memory_options());
  };
  EXPECT_EQ(plan(2).trained, planned(64).trained + 2 * trained);
  EXPECT_EQ(plan(2).update, planned(64).update);  // the sums replace the gradients of both
  EXPECT_EQ(plan(3).trained, planned(64).trained + 4 * trained);
  EXPECT_EQ(plan(3).update, planned(64).update);
}

TEST(PlanMemory, MappedWeightsAreThoseOfALayerAndOfLayersThatRecomputeNothing) {
  ModelConfig config = tiny_llama_config();
  config.num_hidden_layers = 5;
  const RunShape shape =
      run_shape(config, kAttentionOnly, at::kBFloat16, Quantization::kNone, 1024, 2);
  const auto weights = [&](FrozenWeights place, int64_t recomputed) {
    MemoryOptions memory = default_memory_options();
    memory.weights = place;
    memory.recompute_num_layers = recomputed;
    return plan_memory(shape, stage_of(64), memory).weights;
  };
  const int64_t all = weights(FrozenWeights::kResident, 5);
  // Projections of 36 x 72, 36 x 24 twice, 72 x 36 and three of 36 x 40, in bfloat16.
  const int64_t layer = 2 * 36 * (72 + 2 * 24 + 72 + 3 * 40);
  EXPECT_EQ(weights(FrozenWeights::kMapped, 5), all - 4 * layer);
  EXPECT_EQ(weights(FrozenWeights::kMapped, 2), all - 2 * layer);
  EXPECT_EQ(weights(FrozenWeights::kMapped, 0), all);
}

TEST(PlanMemory, WhatIsTrainedWholeIsNoFrozenWeight) {
  LoraOptions lora = kAttentionOnly;
  const int64_t before =
      plan_memory(tiny_shape(lora), stage_of(64), default_memory_options()).weights;
  lora.modules_to_save = {"norm", "embed_tokens"};
  EXPECT_EQ(plan_memory(tiny_shape(lora), stage_of(64), default_memory_options()).weights,
            before - 61 * 36 * 2);
}

TEST(PlanMemory, FullFineTuningFreezesNothingAndKeepsItsGradientsToTheEnd) {
  const RunShape shape = tiny_shape({.none = true});
  const int64_t all = shape.parameters.base;
  EXPECT_EQ(shape.parameters.trainable(), all);
  const MemoryPlan plan = plan_memory(shape, stage_of(64), default_memory_options());
  EXPECT_EQ(plan.weights, 0);
  EXPECT_EQ(plan.trained, all * (2 + 4 + 8));
  // All gradients in bfloat16, that of the tied embedding in two parts.
  EXPECT_GE(plan.update, 2 * (all + 61 * 36));
}

TEST(PlanMemory, QuantisedWeightsAreSmaller) {
  ModelConfig config = tiny_llama_config();
  config.hidden_size = 512;
  config.intermediate_size = 2048;
  config.num_hidden_layers = 16;
  const auto weights = [&](Quantization quantization) {
    RunShape shape = run_shape(config, kAttentionOnly, at::kBFloat16, quantization, 1024, 2);
    return plan_memory(shape, stage_of(64), default_memory_options()).weights;
  };
  EXPECT_LT(weights(Quantization::kNf4), weights(Quantization::kInt8));
  EXPECT_LT(weights(Quantization::kInt8), weights(Quantization::kNone));
}

TEST(RunShape, KnowsWhatIsAdaptedAndTrained) {
  RunShape shape = tiny_shape(
      {.r = 3, .target_modules = {"q_proj", "down_proj"}, .modules_to_save = {"embed_tokens"}});
  int64_t adapted = 0;
  for (const auto& p : shape.projections) {
    const bool target = p.name == "q_proj" || p.name == "down_proj";
    EXPECT_EQ(p.rank, target ? 3 : 0) << p.name;
    adapted += p.rank > 0;
  }
  EXPECT_EQ(shape.projections.size(), 7u);
  EXPECT_EQ(adapted, 2);
  EXPECT_TRUE(shape.trains_embedding);
  EXPECT_TRUE(shape.trains_head);  // tied
  EXPECT_FALSE(tiny_shape().trains_head);
}

TEST(RunShape, KnowsWhereBackwardEnds) {
  const auto before = [](const LoraOptions& lora) {
    return tiny_shape(lora).blocks_before_trained;
  };
  const std::vector<std::string> none;
  EXPECT_EQ(before({.target_modules = {"k_proj"}, .modules_to_save = none}), 0);
  EXPECT_EQ(before({.target_modules = {"up_proj"}, .modules_to_save = none}), 1);
  EXPECT_EQ(before({.target_modules = {"layers.1.self_attn.q_proj"}, .modules_to_save = none}), 2);
  EXPECT_EQ(before({.target_modules = {"up_proj"}, .modules_to_save = {"norm"}}), 0);
  EXPECT_EQ(before({.target_modules = none, .modules_to_save = {"post_attention_layernorm"}}), 1);
  EXPECT_EQ(before({.target_modules = none, .modules_to_save = {"model.norm"}}), 4);
  EXPECT_EQ(before({.target_modules = none, .modules_to_save = {"embed_tokens"}}), 0);
  const LoraOptions all{
      .target_modules = {}, .target_pattern = "all-linear", .modules_to_save = {}};
  EXPECT_EQ(before(all), 0);
}

// Only the last of the two layers is adapted.
TEST(RunShape, IsThatOfTheLastLayer) {
  const RunShape shape =
      tiny_shape({.r = 3, .target_modules = {"layers.1.self_attn.q_proj"}, .modules_to_save = {}});
  EXPECT_EQ(shape.projections.size(), 7u);
  EXPECT_EQ(shape.projections.front().rank, 3);
}

TEST(PlanTime, TwiceTheRatesIsHalfTheTime) {
  KernelRates rates, twice;
  twice.linear_gflops *= 2;
  twice.linear_backward_gflops *= 2;
  twice.head_gflops *= 2;
  twice.attention_forward_gflops *= 2;
  twice.attention_backward_gflops *= 2;
  twice.elementwise_gb_per_second *= 2;
  const MemoryOptions memory = default_memory_options();
  const Stage stage = stage_of(4096);
  const MemoryPlan bytes = plan_memory(tiny_shape(), stage, memory);
  EXPECT_NEAR(plan_time(tiny_shape(), stage, memory, bytes, twice).total(),
              plan_time(tiny_shape(), stage, memory, bytes, rates).total() / 2, 1e-9);
}

TEST(PlanTime, FullFineTuningMultipliesForTheGradientsOfTheWeightsToo) {
  const Stage stage = stage_of(4096);
  const MemoryOptions memory = with(Recompute::kNone);
  const auto seconds = [&](const RunShape& shape) {
    return plan_time(shape, stage, memory, plan_memory(shape, stage, memory), KernelRates());
  };
  const TimePlan whole = seconds(tiny_shape({.none = true})), adapter = seconds(tiny_shape());
  EXPECT_DOUBLE_EQ(whole.linears_backward, 2 * adapter.linears_backward);
  EXPECT_EQ(whole.linears_forward, adapter.linears_forward);
  EXPECT_GT(whole.optimizer, adapter.optimizer);
}

TEST(PlanTime, RecomputingCostsAndASlowDiskIsWaitedFor) {
  const Stage stage = stage_of(4096);
  const auto seconds = [&](const MemoryOptions& memory, const KernelRates& rates) {
    const MemoryPlan bytes = plan_memory(tiny_shape(), stage, memory);
    return plan_time(tiny_shape(), stage, memory, bytes, rates);
  };
  EXPECT_LT(seconds(with(Recompute::kNone), {}).total(),
            seconds(with(Recompute::kSelective), {}).total());
  EXPECT_EQ(seconds(with(Recompute::kSelective), {}).attention_recomputed, 0);
  EXPECT_GT(seconds(with(Recompute::kLayer), {}).attention_recomputed, 0);
  MemoryOptions memory = default_memory_options();
  memory.offload = Offload::kDisk;
  KernelRates slow;
  slow.disk_read_gb_per_second = 1e-3;
  EXPECT_EQ(seconds(default_memory_options(), slow).disk, 0);
  EXPECT_GT(seconds(memory, slow).disk, 0);
}

TEST(PlanTime, ShortWindowsAreForwardPassesOverManyTimesTheTokens) {
  const Stage stage = stage_of(8 * 1024);
  const MemoryOptions memory = with(Recompute::kNone);
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

TEST(PlanTime, CopiesToRamAreWaitedForBeyondWhatAGpuComputesMeanwhile) {
  RunShape shape = tiny_shape();
  shape.device = at::kCUDA;
  MemoryOptions memory = with(Recompute::kLayer);
  memory.offload = Offload::kRam;
  memory.offload_ram = int64_t{1} << 40;
  Stage stage = stage_of(4096);
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
