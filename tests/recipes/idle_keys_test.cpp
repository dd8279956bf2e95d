#include "recipes/idle_keys.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <fstream>

#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_llama.h"

namespace longspan {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class IdleKeys : public testing::Test {
 protected:
  std::vector<std::string> of(std::vector<std::string> overrides, bool with_model = true) {
    const auto path = folder_.path() / "a.yaml";
    std::ofstream(path) << "model: {path: m}\ndata: {path: a.h5}\ntrain: {steps: 9, seq_len: 48}\n";
    const ModelConfig base = tiny_llama_config();
    return idle_keys(load_recipe(path, overrides), with_model ? &base : nullptr);
  }

  TemporaryFolder folder_;
};

TEST_F(IdleKeys, ARecipeOfDefaultsHasNone) { EXPECT_THAT(of({}), IsEmpty()); }

TEST_F(IdleKeys, NoProjectionIsNamedAsWhatPeftDoesNotLoad) {
  EXPECT_THAT(of({"lora.target_modules=[]"}),
              Contains(HasSubstr("lora.target_modules: names no projection")));
}

TEST_F(IdleKeys, MinLrRatioOfAConstantSchedule) {
  EXPECT_THAT(of({"lr_schedule={type: constant, min_lr_ratio: 0.1}"}),
              ElementsAre(HasSubstr("command line: lr_schedule.min_lr_ratio: does nothing with "
                                    "type: constant")));
  EXPECT_THAT(of({"lr_schedule={type: linear, min_lr_ratio: 0.1}"}), IsEmpty());
  EXPECT_THAT(of({"lr_schedule={type: constant}"}), IsEmpty());
  EXPECT_THAT(of({"lr_schedule={min_lr_ratio: 0.1, warmup_steps: 9}"}),
              ElementsAre(HasSubstr("lr_schedule.min_lr_ratio: does nothing, since the run ends")));
  EXPECT_THAT(of({"lr_schedule={min_lr_ratio: 0.1, warmup_steps: 8}"}), IsEmpty());
}

TEST_F(IdleKeys, KeysOfALossThatWeighsAllAlike) {
  EXPECT_THAT(of({"loss={alpha: 0.5, tail: 8}"}),
              ElementsAre(HasSubstr("loss.alpha: does nothing with weights: uniform"),
                          HasSubstr("loss.tail: does nothing")));
  EXPECT_THAT(of({"loss={weights: effective_context, alpha: 0.5, tail: 32}"}), IsEmpty());
  EXPECT_THAT(of({"loss={weights: effective_context, tail: 33}"}),
              ElementsAre(HasSubstr("loss.tail: the tail begins at 64 tokens")));
  const std::string windows = "short_context: 8, short_step: 8, max_weight: 3}";
  EXPECT_THAT(of({"loss={weights: long_minus_short, " + windows}), IsEmpty());
  EXPECT_THAT(of({"loss={weights: long_minus_short, tail: 64, " + windows}),
              ElementsAre(HasSubstr("loss.tail: does nothing with weights: long_minus_short")));
  EXPECT_THAT(of({"loss={weights: effective_context, tail: 32, short_step: 8}"}),
              ElementsAre(HasSubstr("loss.short_step: does nothing with weights: "
                                    "effective_context; leave it out, or take long_minus_short")));
}

TEST_F(IdleKeys, TheTailOfRowsThatEndWhereItBegins) {
  const std::string tail = "loss={weights: effective_context, tail: 32}";
  EXPECT_THAT(of({tail, "train.seq_len=33"}), IsEmpty());
  EXPECT_THAT(of({tail, "train.seq_len=32"}), ElementsAre(HasSubstr("loss.tail: the tail begins")));
}

TEST_F(IdleKeys, ScoresOfAStoreThatNoStageReads) {
  const std::string scores = "data={path: a.h5, scores: s.jsonl, keep_share: 0.5}";
  const auto stages = [](const char* second) {
    return fmt::format("stages=[{{steps: 1, data_path: b.h5}}, {{steps: 1{}}}]", second);
  };
  EXPECT_THAT(of({scores, "train.steps=null", stages("")}), IsEmpty());
  EXPECT_THAT(of({scores, "train.steps=null", stages(", data_path: c.h5")}),
              ElementsAre(HasSubstr("data.scores: does nothing")));
}

TEST_F(IdleKeys, ADocumentMaskOfRowsThatMixNoDocuments) {
  EXPECT_THAT(of({"packing.document_mask=false"}), IsEmpty());
  EXPECT_THAT(of({"packing.document_mask=false", "data.only_full_passages=true"}),
              ElementsAre(HasSubstr("packing.document_mask: does nothing")));
}

TEST_F(IdleKeys, GroupsAndWindowsThatSeeAll) {
  EXPECT_THAT(of({"attention={pattern: shifted_sparse, group_size: 4096}"}, false),
              ElementsAre(HasSubstr("attention: shifted_sparse lets each of 48 tokens see all")));
  // Its shifted heads begin a second group at token 47.
  EXPECT_THAT(of({"attention={pattern: shifted_sparse, group_size: 94}"}), IsEmpty());
  EXPECT_THAT(of({"attention={pattern: shifted_sparse, layers: [1]}"}), IsEmpty());
  EXPECT_THAT(of({"attention={pattern: shifted_sparse, layers: [1]}"}, false), IsEmpty());
  EXPECT_THAT(of({"attention={pattern: shifted_sparse, layers: []}"}),
              ElementsAre(HasSubstr("attention: shifted_sparse lets each of 48 tokens see all")));
  EXPECT_THAT(of({"attention={pattern: shifted_sparse, full_heads: 8}"}), IsEmpty());
  EXPECT_THAT(of({"attention={pattern: shifted_sparse, full_heads: 9}"}, false), IsEmpty());
  EXPECT_THAT(of({"attention={pattern: shifted_sparse, full_heads: 9}"}),
              ElementsAre(HasSubstr("attention: shifted_sparse lets each of 48 tokens see all")));
  EXPECT_THAT(of({"attention={pattern: sliding_window, window: 48}"}),
              ElementsAre(HasSubstr("attention: sliding_window lets each of 48 tokens")));
  EXPECT_THAT(of({"attention={pattern: sliding_window, window: 47, sinks: 0}"}), IsEmpty());
  EXPECT_THAT(of({"train={seq_len: 48}", "attention={pattern: sliding_window, window: 64}",
                  "stages=[{steps: 1}, {steps: 1, seq_len: 96}, {steps: 2, attention: {pattern: "
                  "sliding_window, window: 99}}]"}),
              ElementsAre(HasSubstr("command line: attention: "),
                          HasSubstr("stages.2.attention: sliding_window lets each of 48")));
}

TEST_F(IdleKeys, AFocusedMemoryThatRemembersNothing) {
  const auto of_attention = [&](const std::string& keys) {
    return of(
        {"train.batch_size=4", "attention={pattern: focused_memory, window: 48" + keys + "}"});
  };
  EXPECT_THAT(of_attention(""), Contains(HasSubstr("attention: focused_memory has no mem_layers")));
  // A window is all that is read at once, and rows before it are seen too.
  const std::string remembers = ", mem_layers: [1], last_context_length: 48";
  const std::string alone = ", schedule: [[0, 0], [1, 0], [2, 0], [3, 0]]";
  EXPECT_THAT(of_attention(remembers + alone), IsEmpty());
  EXPECT_THAT(of_attention(remembers),
              ElementsAre(HasSubstr("train.batch_size: 4 rows hold one document, and attention."
                                    "schedule asks for windows of others; take 8 or more")));
  EXPECT_THAT(of({"train.batch_size=8", "validation={path: a.h5}",
                  "attention={pattern: focused_memory, window: 48" + remembers + "}"}),
              ElementsAre(HasSubstr("validation.seq_len: 48 is a row of one window")));
  EXPECT_THAT(of({"train.batch_size=8", "validation={path: a.h5, seq_len: 192}",
                  "attention={pattern: focused_memory, window: 48" + remembers + "}"}),
              IsEmpty());
  for (const char* key : {", search_pages: 4", ", mem_dir: a"}) {
    EXPECT_THAT(of_attention(remembers + alone + key),
                ElementsAre(HasSubstr("search_pages and mem_dir say how a model is read")));
  }
}

TEST_F(IdleKeys, PatternsThatMatchNoAdaptedModule) {
  EXPECT_THAT(of({"lora.rank_pattern={qproj: 64, q_proj: 4}"}),
              ElementsAre(HasSubstr("lora.rank_pattern.qproj: matches no module that gets LoRA")));
  EXPECT_THAT(of({"lora.alpha_pattern={down_proj: 64}"}),
              ElementsAre(HasSubstr("lora.alpha_pattern.down_proj: matches no module")));
  EXPECT_THAT(of({"lora.alpha_pattern={down_proj: 64}", "lora.target_modules=all-linear"}),
              IsEmpty());
  EXPECT_THAT(of({"lora.rank_pattern={qproj: 64}"}, false), IsEmpty());
  EXPECT_THAT(of({"lora.rank_pattern={'.*': 4, q_proj: 2}"}),
              ElementsAre(HasSubstr("lora.rank_pattern.q_proj: does nothing: patterns before it")));
  EXPECT_THAT(of({"lora.rank_pattern={'.*[kv]_proj': 4, v_proj: 2, q_proj: 2}"}),
              ElementsAre(HasSubstr("lora.rank_pattern.v_proj: does nothing")));
}

TEST_F(IdleKeys, KeysThatEachStageHasForItself) {
  const std::string stages =
      "stages=[{steps: 1, rope: {rope_type: default}, seq_len: 24}, {steps: "
      "2, seq_len: 48, rope: {rope_type: ntk, factor: 2}}]";
  EXPECT_THAT(of({"train={seq_len: 48}", stages}),
              ElementsAre(HasSubstr("train.seq_len: does nothing, since each of the stages")));
  EXPECT_THAT(of({"train={batch_size: 2}", "rope={rope_type: linear, factor: 2}", stages}),
              ElementsAre(HasSubstr("rope: does nothing, since each of the stages has its own")));
  EXPECT_THAT(of({"train={seq_len: 48}", "stages=[{steps: 1}, {steps: 1, seq_len: 24}]"}),
              IsEmpty());
}

TEST_F(IdleKeys, PlacesForWhatIsNotOffloaded) {
  EXPECT_THAT(of({"memory={offload: none, offload_ram: 1GB, offload_dir: /tmp}"}),
              ElementsAre(HasSubstr("memory.offload_ram: does nothing"),
                          HasSubstr("memory.offload_dir: does nothing")));
  EXPECT_THAT(of({"memory={recompute: none, offload_ram: 1GB}"}),
              ElementsAre(HasSubstr("memory.offload_ram: does nothing")));
  EXPECT_THAT(of({"memory={offload: ram, offload_ram: 1GB, offload_dir: /tmp}"}),
              ElementsAre(HasSubstr("memory.offload_dir: does nothing")));
  EXPECT_THAT(of({"memory={offload: disk, offload_ram: 1GB, offload_dir: /tmp}"}), IsEmpty());
  EXPECT_THAT(of({"memory={offload_ram: 1GB, offload_dir: /tmp}"}), IsEmpty());  // the plan's
}

TEST_F(IdleKeys, TheLearningRateOfWeightsThatAllHaveTheirOwn) {
  EXPECT_THAT(of({"optimizer={lr: 1e-4, lora_plus_ratio: 4, groups: [{pattern: lora_, lr: 1e-5}, "
                  "{pattern: '.', lr: 2e-5}]}"}),
              ElementsAre(HasSubstr("optimizer.lr: does nothing, since every trained weight"),
                          HasSubstr("optimizer.lora_plus_ratio: does nothing")));
  EXPECT_THAT(of({"optimizer={lr: 1e-4, groups: [{pattern: lora_, lr: 1e-5}]}"}), IsEmpty());
  EXPECT_THAT(of({"optimizer={lr: 1e-4, groups: [{pattern: '.', weight_decay: 0.1}]}"}), IsEmpty());
}

TEST_F(IdleKeys, GroupsThatHoldNoWeight) {
  EXPECT_THAT(of({"optimizer.groups=[{pattern: embed_tokens|norm, lr: 2e-5}, {pattern: lm_head, "
                  "lr: 1e-5}, {pattern: model.norm, lr: 1}]"}),
              ElementsAre(HasSubstr("optimizer.groups.1: 'lm_head' is found in the name of no"),
                          HasSubstr("optimizer.groups.2: 'model.norm'")));
}

}  // namespace
}  // namespace longspan
