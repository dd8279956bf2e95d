#include "trainer/plan/plan_memory.h"

#include <ATen/ops/randint.h>
#include <gtest/gtest.h>

#include "src/attention/focused_memory.h"
#include "src/core/processor.h"
#include "src/model/apply_lora.h"
#include "src/nn/activation_store.h"
#include "tests/trainer/plan/tiny_plan.h"

namespace longspan {
namespace {

MemoryPlan planned(int64_t seq_len, const MemoryOptions& memory = default_memory_options()) {
  return plan_memory(tiny_shape(), tiny_stage(seq_len), memory);
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
    const MemoryPlan plan = plan_memory(shape, tiny_stage(100), recomputing(recompute));
    EXPECT_EQ(store->bytes_in_ram(), plan.stored);
  }
}

// q_proj: from 36 to 9 heads of 8.
TEST(PlanMemory, DoraKeepsItsProjectionsOutputsBeforeTheyAreScaled) {
  LoraOptions dora = kAttentionOnly;
  dora.use_dora = true;
  const MemoryOptions whole = recomputing(Recompute::kNone);
  const MemoryPlan with_dora = plan_memory(tiny_shape(dora), tiny_stage(1000), whole);
  EXPECT_EQ(with_dora.kept - planned(1000, whole).kept, 2 * 1000 * 9 * 8 * 2);
}

TEST(PlanMemory, DoraWithDropoutKeepsMasksAndDroppedInputs) {
  LoraOptions dora = kAttentionOnly;
  dora.use_dora = true;
  const auto kept = [&] {
    return plan_memory(tiny_shape(dora), tiny_stage(1000), recomputing(Recompute::kNone)).kept;
  };
  const int64_t without = kept();
  dora.lora_dropout = 0.1;
  EXPECT_EQ(kept() - without, 2 * 1000 * 36 * 2);  // in each layer two for the norm's output
}

TEST(PlanMemory, NothingIsKeptBeforeTheFirstTrainedBlock) {
  LoraOptions lora{.r = 4, .target_modules = {"up_proj"}, .modules_to_save = {}};
  const auto kept = [&](Recompute recompute) {
    return plan_memory(tiny_shape(lora), tiny_stage(1000), recomputing(recompute)).kept;
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
  EXPECT_GT(plan_memory(tiny_shape(lora), tiny_stage(1000), recomputing(Recompute::kNone)).mlp,
            1000 * 2 * (2 * 36 + 3 * 40));
}

// Chunks cut each row.
TEST(PlanMemory, ChunksTakeSoManyTokensOfEachRow) {
  MemoryOptions memory = default_memory_options();
  memory.chunk_tokens = 500;
  Stage rows = tiny_stage(1000);
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
  EXPECT_EQ(plan_memory(shape, tiny_stage(1000), default_memory_options()).validation, 0);
  shape.validation_seq_len = 100000;
  const MemoryPlan plan = plan_memory(shape, tiny_stage(1000), default_memory_options());
  EXPECT_GT(plan.validation, 100000 * 36 * 2);  // the residual
  EXPECT_EQ(plan.working, plan.validation - plan.kept);
}

/// A pass of two documents of two windows of 250 tokens. Of its rows the last attends to two others
/// in one piece: the window before it and one of the other document.
MemoryPlan planned_windows(std::vector<int64_t> mem_layers, Recompute recompute,
                           std::optional<int64_t> validation_seq_len = {}) {
  FocusedMemoryOptions options;
  options.mem_layers = std::move(mem_layers);
  options.schedule = {{0, 0}, {1, 1}};
  Stage stage = tiny_stage(250);
  stage.batch_size = 4;
  stage.attention = std::make_shared<FocusedMemoryAttention>(options);
  RunShape shape = tiny_shape();
  shape.validation_seq_len = validation_seq_len;
  return plan_memory(shape, stage, recomputing(recompute));
}

// Of 1,000 tokens: q of 9 heads of 8, keys of 3, the ends of intervals.
TEST(PlanMemory, AMemoryLayerKeepsKeysThatAreNotRotated) {
  const auto kept = [](std::vector<int64_t> mem_layers) {
    return planned_windows(std::move(mem_layers), Recompute::kNone).kept;
  };
  EXPECT_EQ(kept({1}) - kept({}), 1000 * (3 * 8 * 2 + 9 * 4));
  EXPECT_EQ(kept({0, 1}) - kept({1}), kept({1}) - kept({}));
}

TEST(PlanMemory, OtherRowsHaveTheirGradientsWhenTheOwnRowIsDone) {
  const int64_t queries = 1000 * 9 * 8 * 2, keys = 1000 * 3 * 8 * 2, of_each_query = 1000 * 9 * 4;
  const int64_t own_row = queries + 2 * keys + of_each_query;
  // Those of the own row's keys and values in bfloat16, of all rows' in float32, and q's rounded,
  // which is more than a part of one row has.
  const int64_t others = 2 * keys + 4 * keys + queries;
  ASSERT_LT((queries + of_each_query + 2 * 2 * keys) / 4, queries);
  const auto attention = [](std::vector<int64_t> mem_layers) {
    return planned_windows(std::move(mem_layers), Recompute::kSelective).attention;
  };
  EXPECT_EQ(attention({1}) - attention({}), keys + of_each_query + 2 * queries + others - own_row);
}

TEST(PlanMemory, AValidationThatReadsWindowsJoinsThemInFloat32) {
  const auto validation = [](std::vector<int64_t> mem_layers) {
    return planned_windows(std::move(mem_layers), Recompute::kSelective, 100000).validation;
  };
  // All parts, and the two that are joined; the log-sum-exp of another.
  EXPECT_EQ(validation({1}) - validation({}), 100000 * (3 * 9 * 8 * 4 + 9 * 4));
}

TEST(PlanMemory, LayerKeepsItsInputAlone) {
  EXPECT_EQ(planned(1000, recomputing(Recompute::kLayer)).kept, 2 * 1000 * 36 * 2);
}

TEST(PlanMemory, SelectivePlusPlusKeepsTheLayersInputAndWhatAttentionComputed) {
  EXPECT_EQ(planned(1000, recomputing(Recompute::kSelectivePlusPlus)).kept,
            2 * 1000 * (36 * 2 + 9 * 8 * 2 + 9 * 4));
}

// q of 9 heads of 8, k and v of 3, the intervals, the norm's output of 36 and what A of rank 4
// makes of it; the MLP's input of 36.
TEST(PlanMemory, WhatLeadsToAttentionWaitsForTheMlpWhereItIsMadeFromTheLayersInput) {
  const int64_t waits = 1000 * (2 * 8 * (9 + 2 * 3) + 4 * 9 + 2 * 36 + 2 * 4);
  const int64_t input = 1000 * 2 * 36;
  const int64_t selective = planned(1000, recomputing(Recompute::kSelective)).mlp;
  EXPECT_EQ(planned(1000, recomputing(Recompute::kSelectivePlusPlus)).mlp,
            selective + waits + input);
  const int64_t result = 1000 * 9 * (2 * 8 + 4);
  EXPECT_EQ(planned(1000, recomputing(Recompute::kLayer)).mlp, selective + waits + input + result);
}

TEST(PlanMemory, KeepsMoreTheLessIsComputedAgain) {
  EXPECT_LT(planned(1000, recomputing(Recompute::kLayer)).kept,
            planned(1000, recomputing(Recompute::kSelectivePlusPlus)).kept);
  EXPECT_LT(planned(1000, recomputing(Recompute::kSelectivePlusPlus)).kept,
            planned(1000, recomputing(Recompute::kSelective)).kept);
  EXPECT_LT(planned(1000, recomputing(Recompute::kSelective)).kept,
            planned(1000, recomputing(Recompute::kNone)).kept);
}

TEST(PlanMemory, ALayerThatRecomputesNothingKeepsAll) {
  MemoryOptions mixed = recomputing(Recompute::kSelective);
  mixed.recompute_num_layers = 1;
  EXPECT_EQ(2 * planned(1000, mixed).kept, planned(1000, recomputing(Recompute::kSelective)).kept +
                                               planned(1000, recomputing(Recompute::kNone)).kept);
}

TEST(PlanMemory, TheOtherLayersKeepWhatTheirModeKeeps) {
  MemoryOptions mixed = recomputing(Recompute::kLayer);
  mixed.recompute_num_layers = 1;
  mixed.recompute_rest = Recompute::kSelectivePlusPlus;
  EXPECT_EQ(2 * planned(1000, mixed).kept,
            planned(1000, recomputing(Recompute::kLayer)).kept +
                planned(1000, recomputing(Recompute::kSelectivePlusPlus)).kept);
  // The last layer's backward comes first, and has freed what it kept before the first one's.
  EXPECT_EQ(planned(1000, mixed).mlp,
            planned(1000, recomputing(Recompute::kSelectivePlusPlus)).mlp);
}

TEST(PlanMemory, WhatALayerKeepsOfItsMlpIsFreeInItsAttention) {
  // The MLP's residual of 36, gate and up of 40.
  const int64_t of_mlp = 1000 * 2 * (36 + 2 * 40);
  // q, k, v, the intervals, and the norm's output with A's of it are kept there, and made again
  // here; the MLP's residual is free here too.
  const int64_t again = 1000 * (2 * 8 * (9 + 2 * 3) + 4 * 9 + 2 * (36 + 4));
  EXPECT_EQ(planned(1000, recomputing(Recompute::kNone)).attention + of_mlp,
            planned(1000, recomputing(Recompute::kSelective)).attention - again + 1000 * 2 * 36);
}

TEST(PlanMemory, ALayerThatKeepsAllMakesGradientsAlone) {
  const int64_t gate_up_and_product = 3 * 1000 * 2 * 40;
  EXPECT_EQ(planned(1000, recomputing(Recompute::kSelective)).mlp -
                planned(1000, recomputing(Recompute::kNone)).mlp,
            gate_up_and_product);
}

TEST(PlanMemory, WhatTheLastLayersKeptIsFreeWhereOthersComputeAgain) {
  MemoryOptions mixed = recomputing(Recompute::kSelective);
  mixed.recompute_num_layers = 1;
  // Long enough that what a product without AVX-512 takes besides does not count.
  constexpr int64_t kTokens = 16000;
  const MemoryPlan recomputed = planned(kTokens, recomputing(Recompute::kSelective));
  const MemoryPlan whole = planned(kTokens, recomputing(Recompute::kNone));
  ASSERT_GT(whole.kept, 2 * recomputed.mlp);  // so that what backward begins with is the peak
  EXPECT_EQ(planned(kTokens, mixed).working, whole.working);
}

TEST(PlanMemory, AGpuKeepsWhatHasNoRoomInRam) {
  RunShape shape = tiny_shape();
  shape.device = at::kCUDA;
  MemoryOptions memory = offloading_to_ram();
  const MemoryPlan all = plan_memory(shape, tiny_stage(1000), memory);
  const int64_t input = 1000 * 36 * 2;
  EXPECT_EQ(all.stored, 2 * input);
  EXPECT_EQ(all.kept, 0);
  memory.offload_ram = input + 100;
  const MemoryPlan part = plan_memory(shape, tiny_stage(1000), memory);
  EXPECT_EQ(part.stored, input);
  EXPECT_EQ(part.kept, input);  // the second layer's, whole
}

/// FlashAttention-2 adds up a gradient of the queries for each of its 132 / heads splits.
TEST(PlanMemory, DeterministicKernelsOfAGpuWantMore) {
  RunShape shape = tiny_shape();
  shape.device = at::kCUDA;
  const MemoryOptions memory = recomputing(Recompute::kLayer);
  const int64_t one = plan_memory(shape, tiny_stage(4096), memory).total();
  shape.deterministic = true;
  const int64_t splits =
      (132 + shape.config.num_attention_heads - 1) / shape.config.num_attention_heads;
  const int64_t more = plan_memory(shape, tiny_stage(4096), memory).total() - one;
  EXPECT_GT(more, 0);
  EXPECT_LE(more,
            (splits - 1) * 4096 * shape.config.num_attention_heads * shape.config.head_dim * 4);
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
  const int64_t input = 1000 * 36 * 2;  // of the first block, the only one with room
  memory.offload = Offload::kDisk;
  memory.offload_ram = input + 1000;
  EXPECT_EQ(planned(1000, memory).disk, stored - input);
  EXPECT_EQ(planned(1000, memory).kept, input + log_sum_exps);
  memory.offload_ram = stored;
  EXPECT_EQ(planned(1000, memory).disk, 0);
}

// The MLP's input comes back, and attention's result of 72 ahead of its turn.
TEST(PlanMemory, AFileGivesBackOneTensorAheadOfTheBlockAtWork) {
  MemoryOptions memory = default_memory_options();
  memory.offload = Offload::kDisk;
  memory.offload_ram = 0;
  EXPECT_EQ(planned(1000, memory).mlp, planned(1000).mlp + 1000 * 2 * (36 + 72));
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
  Stage stage = tiny_stage(64);
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
    return plan_memory(shape, tiny_stage(64), memory).weights;
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
      plan_memory(tiny_shape(lora), tiny_stage(64), default_memory_options()).weights;
  lora.modules_to_save = {"norm", "embed_tokens"};
  EXPECT_EQ(plan_memory(tiny_shape(lora), tiny_stage(64), default_memory_options()).weights,
            before - 61 * 36 * 2);
}

TEST(PlanMemory, FullFineTuningFreezesNothingAndKeepsItsGradientsToTheEnd) {
  const RunShape shape = tiny_shape({.none = true});
  const int64_t all = shape.parameters.base;
  EXPECT_EQ(shape.parameters.trainable(), all);
  const MemoryPlan plan = plan_memory(shape, tiny_stage(64), default_memory_options());
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
    return plan_memory(shape, tiny_stage(64), default_memory_options()).weights;
  };
  EXPECT_LT(weights(Quantization::kNf4), weights(Quantization::kInt8));
  EXPECT_LT(weights(Quantization::kInt8), weights(Quantization::kNone));
}

}  // namespace
}  // namespace longspan
