#include "trainer/plan/plan.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "src/core/fields_writer.h"
#include "tests/support/errors.h"
#include "tests/trainer/plan/planned_models.h"
#include "trainer/plan/plan_chart.h"
#include "trainer/plan/plan_report.h"

namespace longspan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Plan plan_on(int64_t memory, int64_t seq_len, const MemoryOptions& asked = {}) {
  return plan_run(shape_of(), stages_of(seq_len), asked, machine_with(memory));
}

TEST(Plan, WithRoomKeepsEverything) {
  Plan plan = plan_on(1000 * kGiB, 8192);
  EXPECT_EQ(plan.memory.recompute, Recompute::kNone);
  EXPECT_EQ(plan.memory.offload, Offload::kNone);
  EXPECT_EQ(plan.memory.chunk_tokens, 0);
  EXPECT_EQ(plan.memory.weights, FrozenWeights::kResident);
  EXPECT_EQ(plan.memory.optimizer_state_bits, 32);
  EXPECT_TRUE(plan.fits());
}

TEST(Plan, GivesUpTimeOnlyForMemory) {
  double seconds = 0;
  int64_t bytes = 1000 * kGiB;
  for (int64_t memory : {1000, 40, 20, 14}) {
    Plan plan = plan_on(memory * kGiB, 32768);
    ASSERT_TRUE(plan.fits()) << memory;
    EXPECT_GE(plan.run_seconds(), seconds) << memory;
    EXPECT_LE(plan.peak().total(), bytes) << memory;
    seconds = plan.run_seconds();
    bytes = plan.peak().total();
  }
}

TEST(Plan, KeepsInSomeLayersWhatHasRoom) {
  const Plan plan = plan_on(120 * kGiB, 32768);
  EXPECT_EQ(plan.memory.recompute, Recompute::kSelective);
  ASSERT_TRUE(plan.memory.recompute_num_layers);
  EXPECT_GT(*plan.memory.recompute_num_layers, 0);
  EXPECT_LT(*plan.memory.recompute_num_layers, 32);
  EXPECT_LE(plan.peak().total(), 60 * kGiB);
  MemoryOptions one_less = plan.memory;
  --*one_less.recompute_num_layers;
  EXPECT_GT(plan_on(120 * kGiB, 32768, one_less).peak().total(), 60 * kGiB);
  const MemoryOptions asked{.recompute = Recompute::kSelective};
  const Plan all = plan_on(120 * kGiB, 32768, asked);
  EXPECT_EQ(all.memory.recompute_num_layers, 32);
  EXPECT_GT(all.run_seconds(), plan.run_seconds());
}

TEST(Plan, SevenBillionAt100KFitIn22GiBWithTheDisk) {
  Plan plan = plan_on(22 * kGiB, 98304);
  EXPECT_TRUE(plan.fits());
  EXPECT_EQ(plan.memory.offload, Offload::kDisk);
  EXPECT_GT(plan.disk_bytes(), 0);
}

TEST(Plan, ChunksTheMlpWhereItIsWhatDoesNotFit) {
  Plan plan = plan_on(18 * kGiB, 98304);
  EXPECT_TRUE(plan.fits());
  EXPECT_GT(*plan.memory.chunk_tokens, 0);
}

TEST(Plan, NeverChangesWhatIsGiven) {
  MemoryOptions asked{.recompute = Recompute::kLayer, .chunk_tokens = 512};
  Plan plan = plan_on(1000 * kGiB, 8192, asked);
  EXPECT_EQ(plan.memory.recompute, Recompute::kLayer);
  EXPECT_EQ(plan.memory.chunk_tokens, 512);
}

TEST(Plan, RecomputesInAsManyLayersAsGiven) {
  Plan plan = plan_on(1000 * kGiB, 8192, {.recompute_num_layers = 10});
  EXPECT_NE(plan.memory.recompute, Recompute::kNone);
  EXPECT_EQ(plan.memory.recompute_num_layers, 10);
}

TEST(Plan, KeepsInRamWhatTheRestOfTheMemoryHasRoomFor) {
  const MemoryOptions in_ram{
      .recompute = Recompute::kSelective, .offload = Offload::kRam, .chunk_tokens = 0};
  const Plan open = plan_on(1000 * kGiB, 32768, in_ram);
  // A tenth is left free.
  const int64_t least = open.peak().total() * 10 / 9 + kMiB;
  EXPECT_TRUE(plan_on(least, 32768, in_ram).fits());
  EXPECT_FALSE(plan_on(least - 2 * kMiB, 32768, in_ram).fits());
}

TEST(Plan, KeepsNoRoomForWhatIsNotOffloaded) {
  const Plan plan = plan_on(1000 * kGiB, 8192, {.offload_ram = kGiB});
  EXPECT_EQ(plan.memory.offload, Offload::kNone);
  EXPECT_EQ(plan.memory.offload_ram, 0);
}

TEST(Plan, TheMachinesRatesChangeTheTimeAndNotTheChoice) {
  Machine machine = machine_with(22 * kGiB), slow = machine;
  slow.rates.disk_write_gb_per_second = slow.rates.disk_read_gb_per_second = 1e-3;
  const Plan plan = plan_run(shape_of(), stages_of(98304), {}, machine);
  const Plan slower = plan_run(shape_of(), stages_of(98304), {}, slow);
  EXPECT_EQ(write_fields(plan.memory), write_fields(slower.memory));
  EXPECT_GT(slower.run_seconds(), plan.run_seconds());
}

TEST(Plan, MapsNothingThatBackwardWouldHoldAll) {
  const RunShape dense = shape_of(Quantization::kNone);
  const Plan plan = plan_run(dense, stages_of(1024), {}, machine_with(22 * kGiB));
  EXPECT_TRUE(plan.memory.weights == FrozenWeights::kResident ||
              plan.memory.recompute_num_layers == dense.config.num_hidden_layers);
}

TEST(Plan, WithoutDiskOffloadsNothing) {
  for (int64_t disk : {kMiB, int64_t{0}}) {
    Plan plan = plan_run(shape_of(), stages_of(98304), {}, machine_with(22 * kGiB, disk));
    EXPECT_FALSE(plan.fits() && plan.disk_bytes() > 0) << disk;
  }
}

TEST(Plan, ADiskOfAnUnknownSizeIsTaken) {
  Plan plan = plan_run(shape_of(), stages_of(98304), {}, machine_with(22 * kGiB, std::nullopt));
  EXPECT_TRUE(plan.fits());
  EXPECT_GT(plan.disk_bytes(), 0);
  EXPECT_TRUE(plan_json(plan)["available_disk_bytes"].is_null());
}

TEST(Plan, TheLongestContextFitsAndALongerOneDoesNot) {
  const Machine machine = machine_with(16 * kGiB);
  const RunShape shape = shape_of();
  const int64_t longest = longest_context(shape, stages_of(4096), {}, machine);
  EXPECT_GT(longest, 4096);
  EXPECT_TRUE(plan_run(shape, stages_of(longest), {}, machine).fits());
  EXPECT_FALSE(plan_run(shape, stages_of(longest + 1024), {}, machine).fits());
}

/// A stage of short rows stays as it is: its batch would not fit at the length of the others.
TEST(Plan, OtherLengthsAreThoseOfTheLongestStage) {
  std::vector<Stage> stages = stages_of(98304);
  stages.insert(stages.begin(), stages_of(2048).front());
  stages.front().batch_size = 16;
  const Machine machine = machine_with(16 * kGiB);
  const int64_t longest = longest_context(shape_of(), stages, {}, machine);
  EXPECT_EQ(longest, longest_context(shape_of(), stages_of(98304), {}, machine));
  const Plan plan = plan_run(shape_of(), with_length(stages, 4096), {}, machine);
  EXPECT_EQ(plan.stages[0].stage.seq_len, 2048);
  EXPECT_EQ(plan.seq_len(), 4096);
  EXPECT_EQ(with_length(stages, 1024)[0].seq_len, 1024);
}

TEST(Plan, NoMemoryFitsNoContext) {
  EXPECT_EQ(longest_context(shape_of(), stages_of(4096), {}, machine_with(kGiB)), 0);
}

TEST(Plan, ARemedyMakesItFit) {
  const RunShape dense = shape_of(Quantization::kNone);
  const MemoryOptions resident{.weights = FrozenWeights::kResident};
  const Machine machine = machine_with(12 * kGiB);
  const auto stages = stages_of(8192);
  ASSERT_FALSE(plan_run(dense, stages, resident, machine).fits());
  const auto found = remedies(dense, stages, resident, machine);
  ASSERT_FALSE(found.empty());
  EXPECT_THAT(found.front().change, HasSubstr("auto"));
  for (const Remedy& remedy : found) {
    EXPECT_LE(remedy.bytes, 12 * kGiB);
    EXPECT_THAT(remedy.change, testing::StartsWith("memory: auto in its other keys"));
    EXPECT_THAT(remedy.change, testing::Not(HasSubstr("batch_size")));  // it is 1
  }
}

/// Of a machine on which all of them fit.
std::vector<std::string> all_changes(const RunShape& shape, const std::vector<Stage>& stages) {
  std::vector<std::string> changes;
  for (const Remedy& remedy : remedies(shape, stages, {}, machine_with(10'000 * kGiB))) {
    changes.push_back(remedy.change);
  }
  return changes;
}

TEST(Plan, RemediesAreThoseThatARecipeTakes) {
  std::vector<Stage> stages = stages_of(2048, "full");
  EXPECT_THAT(all_changes(shape_of(), stages),
              ElementsAre("memory.optimizer_state_bits=8",
                          "model.quantization=none memory.weights=mapped"));
  stages[0].batch_size = 4;
  EXPECT_THAT(all_changes(shape_of(Quantization::kNone, {.none = true}), stages),
              ElementsAre("memory.optimizer_state_bits=8",
                          "batch_size 1 and as many gradient_accumulation_steps",
                          "memory.optimizer_state_bits=8 and batch_size 1"));
  stages[0].attention = make_attention_pattern("focused_memory");  // rows side by side
  stages[0].batch_size = stages[0].attention->passage_rows();
  ASSERT_EQ(stages[0].attention->misfit_of_batch(stages[0].batch_size, 2048), "");
  EXPECT_THAT(all_changes(shape_of(Quantization::kNone, {.none = true}), stages),
              ElementsAre("memory.optimizer_state_bits=8"));
}

TEST(Plan, MapsOnlyWhatTheFileHoldsInTheDtypeOfTheRun) {
  RunShape dense = shape_of(Quantization::kNone);
  const Machine machine = machine_with(8 * kGiB);
  EXPECT_EQ(plan_run(dense, stages_of(8192), {}, machine).memory.weights, FrozenWeights::kMapped);
  dense.can_be_mapped = false;
  const Plan plan = plan_run(dense, stages_of(8192), {}, machine);
  EXPECT_EQ(plan.memory.weights, FrozenWeights::kResident);
  EXPECT_FALSE(plan.fits());
  const auto found = remedies(dense, stages_of(8192), {}, machine);
  const auto of_mapping = std::find_if(found.begin(), found.end(), [](const Remedy& remedy) {
    return remedy.change.find("memory.weights=mapped") != std::string::npos;
  });
  ASSERT_NE(of_mapping, found.end());
  EXPECT_THAT(of_mapping->change, HasSubstr("the model converted"));
  EXPECT_EQ(plan_run(shape_of(), stages_of(8192), {}, machine_with(kGiB)).memory.weights,
            FrozenWeights::kResident);  // NF4, of least memory
}

TEST(Plan, WhatIsKeptInRamStaysWithinItsBound) {
  const MemoryOptions bounded{
      .recompute = Recompute::kLayer, .offload = Offload::kRam, .offload_ram = kMiB};
  const Plan plan = plan_on(1000 * kGiB, 8192, bounded);
  EXPECT_FALSE(plan.fits());
  EXPECT_THAT(error_of([&] { require_fit(plan, {}, 0); }, ExitCode::kOutOfMemory),
              HasSubstr("memory.offload_ram: 2.0 GiB of activations are kept"));
  MemoryOptions enough = bounded;
  enough.offload_ram = 3 * kGiB;
  EXPECT_TRUE(plan_on(1000 * kGiB, 8192, enough).fits());
}

TEST(Plan, RefusesOptionsThatExcludeOneAnother) {
  const MemoryOptions chunks{.recompute = Recompute::kNone, .chunk_tokens = 512};
  EXPECT_THROW(plan_on(1000 * kGiB, 8192, chunks), Error);
  const MemoryOptions open{.chunk_tokens = 512};
  EXPECT_NE(plan_on(1000 * kGiB, 8192, open).memory.recompute, Recompute::kNone);
}

TEST(Plan, IsRefusedWithFiguresAndHelp) {
  const Plan plan = plan_on(2 * kGiB, 98304);
  const std::string message = error_of(
      [&] {
        require_fit(plan, {{"model.quantization=nf4", kGiB}}, 1024);
      },
      ExitCode::kOutOfMemory);
  EXPECT_THAT(message, HasSubstr("fits with model.quantization=nf4 (1.0 GiB)"));
  EXPECT_THAT(message, HasSubstr("2.0 GiB"));
  EXPECT_NO_THROW(require_fit(plan_on(1000 * kGiB, 98304), {}, 0));
}

TEST(Plan, UnknownMemoryFitsAll) { EXPECT_TRUE(plan_on(0, 98304).fits()); }

TEST(PlanReport, PartsAddUpToTheTotals) {
  const Plan plan = plan_on(22 * kGiB, 98304);
  double bytes = 0, seconds = 0;
  for (const auto& [name, value] : parts_of(plan.peak())) bytes += value;
  for (const auto& [name, value] : parts_of(plan.stages[0].step)) seconds += value;
  EXPECT_EQ(bytes, static_cast<double>(plan.peak().total()));
  EXPECT_DOUBLE_EQ(seconds, plan.stages[0].step.total());
  EXPECT_DOUBLE_EQ(plan.run_seconds(), 10 * plan.stages[0].step.total());
}

TEST(PlanReport, JsonHoldsTheChoiceAndTheSums) {
  const Plan plan = plan_on(22 * kGiB, 98304);
  const Json json = plan_json(plan);
  EXPECT_EQ(json["memory"]["offload"], "disk");
  EXPECT_EQ(json["peak_memory_bytes"], plan.peak().total());
  EXPECT_EQ(json["stages"][0]["memory_bytes"]["total"], plan.peak().total());
  EXPECT_EQ(json["stages"][0]["seq_len"], 98304);
}

TEST(PlanReport, TablesHaveAColumnAStage) {
  const ModelConfig config = llama2_7b();
  const Plan plan = plan_on(22 * kGiB, 8192);
  for (const Table& table : {memory_table(plan, config), time_table(plan, config)}) {
    ASSERT_EQ(table.header.size(), 2u);
    EXPECT_EQ(table.header[1], "8K shifted_sparse");
    for (const auto& row : table.rows) EXPECT_EQ(row.size(), 2u) << row[0];
  }
}

TEST(PlanReport, AColumnSaysInWhichLayersThePatternIs) {
  Plan plan = plan_on(22 * kGiB, 8192);
  const Json keys = {{"pattern", "shifted_sparse"}, {"layers", {0, 1, 5}}};
  Diagnostics diagnostics;
  plan.stages[0].stage.attention = read_attention_pattern(Fields(keys, diagnostics));
  for (const Table& table : {memory_table(plan, llama2_7b()), time_table(plan, llama2_7b())}) {
    EXPECT_EQ(table.header[1], "8K shifted_sparse in 3 of 32 layers");
  }
}

TEST(PlanChart, DrawsABarALength) {
  const std::string svg = plan_chart_svg({plan_on(22 * kGiB, 8192), plan_on(22 * kGiB, 32768)});
  EXPECT_THAT(svg, testing::StartsWith("<svg xmlns="));
  EXPECT_THAT(svg, HasSubstr(">8K<"));
  EXPECT_THAT(svg, HasSubstr(">32K<"));
  EXPECT_THAT(svg, HasSubstr(">available<"));
}

TEST(KernelRates, ReadBackAsWritten) {
  KernelRates rates;
  rates.linear_gflops = 123.5;
  EXPECT_EQ(write_rates(read_rates(write_rates(rates), "rates")), write_rates(rates));
  rates.host_copy_gb_per_second = 55;
  Json earlier = write_rates(rates);
  EXPECT_EQ(read_rates(earlier, "rates").host_copy_gb_per_second, 55);
  earlier.erase("host_copy_gb_per_second");
  EXPECT_EQ(read_rates(earlier, "rates").host_copy_gb_per_second,
            KernelRates{}.host_copy_gb_per_second);
  Json missing = write_rates(rates);
  missing.erase("head_gflops");
  missing["linear_gflops"] = -1;
  const std::string message =
      error_of([&] { read_rates(missing, "rates.json"); }, ExitCode::kUsage);
  EXPECT_THAT(message, HasSubstr("head_gflops"));
  EXPECT_THAT(message, HasSubstr("linear_gflops"));
}

}  // namespace
}  // namespace longspan
