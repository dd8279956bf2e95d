#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "data/store/token_store_writer.h"
#include "src/core/text.h"
#include "src/model/apply_lora.h"
#include "src/nn/page_allocator.h"
#include "tests/support/tiny_llama.h"
#include "trainer/observers/validation.h"
#include "trainer/plan/plan_memory.h"
#include "trainer/trainer.h"

namespace longspan {
namespace {

namespace fs = std::filesystem;

/// A run of two steps: what of a recipe decides its memory.
struct Drawn {
  ModelConfig config = tiny_llama_config();
  LoraOptions lora;
  Stage stage;
  MemoryOptions memory = default_memory_options();
  at::ScalarType dtype = at::kBFloat16;
  Quantization quantization = Quantization::kNone;
  std::optional<int64_t> validation_seq_len;
  std::string description;
};

Drawn draw(uint64_t seed) {
  std::mt19937_64 generator(seed);
  Drawn drawn;
  const auto one_of = [&](const char* what, const auto& values) {
    const size_t i = generator() % values.size();
    drawn.description += fmt::format("{} {} of {}, ", what, i, values.size());
    return values[i];
  };
  const std::vector<bool> either{false, true};
  ModelConfig& c = drawn.config;
  c.hidden_size = 512;
  c.head_dim = 64;
  c.num_attention_heads = 8;
  c.num_key_value_heads = one_of("key_value_heads", std::vector<int64_t>{4, 8});
  c.intermediate_size = one_of("intermediate", std::vector<int64_t>{1024, 1536});
  c.num_hidden_layers = one_of("layers", std::vector<int64_t>{2, 4});
  c.vocab_size = one_of("vocabulary", std::vector<int64_t>{2048, 8192});
  c.tie_word_embeddings = one_of("tied", either);
  c.max_position_embeddings = 8192;
  drawn.dtype = one_of("dtype", std::vector<at::ScalarType>{at::kBFloat16, at::kFloat});
  drawn.quantization = one_of(
      "quantization",
      std::vector<Quantization>{Quantization::kNone, Quantization::kNf4, Quantization::kInt8});
  using Names = std::vector<std::string>;
  drawn.lora.r = one_of("r", std::vector<int64_t>{8, 64});
  drawn.lora.use_dora = one_of("dora", either);
  drawn.lora.target_modules =
      one_of("targets", std::vector<Names>{{"q_proj", "v_proj"},
                                           {"q_proj", "k_proj", "v_proj", "o_proj"},
                                           {"gate_proj", "up_proj", "down_proj"},
                                           {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj",
                                            "up_proj", "down_proj"}});
  drawn.lora.modules_to_save =
      one_of("saved", std::vector<Names>{{}, {"norm"}, {"embed_tokens", "norm"}});
  Stage& stage = drawn.stage;
  stage.steps = 2;
  stage.seq_len = one_of("seq_len", std::vector<int64_t>{2048, 3072});
  stage.batch_size = one_of("batch", std::vector<int64_t>{1, 2});
  stage.gradient_accumulation_steps = one_of("accumulation", std::vector<int64_t>{1, 2});
  stage.attention =
      make_attention_pattern(one_of("pattern", Names{"full", "shifted_sparse", "sliding_window"}));
  MemoryOptions& memory = drawn.memory;
  memory.recompute =
      one_of("recompute",
             std::vector<Recompute>{Recompute::kNone, Recompute::kSelective, Recompute::kLayer});
  if (memory.recompute != Recompute::kNone) {
    memory.recompute_num_layers =
        one_of("recompute_num_layers", std::vector<int64_t>{c.num_hidden_layers, 1});
    memory.chunk_tokens = one_of("chunk", std::vector<int64_t>{0, 512});
    memory.offload =
        one_of("offload", std::vector<Offload>{Offload::kNone, Offload::kRam, Offload::kDisk});
    memory.offload_ram = memory.offload == Offload::kRam ? int64_t{1} << 40 : 0;
  }
  memory.optimizer_state_bits = one_of("bits", std::vector<int64_t>{32, 8});
  drawn.validation_seq_len =
      one_of("validation", std::vector<std::optional<int64_t>>{{}, 0, 4 * 3072});
  return drawn;
}

class PlanDrawn : public testing::TestWithParam<uint64_t> {
 protected:
  void SetUp() override {
    fs::create_directories(folder_);
    TokenStoreWriter writer(folder_ / "tokens.h5", "tiny", 2048);
    std::vector<int32_t> ids;
    for (int i = 0; i < 40000; ++i) ids.push_back(i * 7 % 2048);
    writer.append("document", ids);
    writer.commit();
    store_ = std::make_shared<const TokenStore>(folder_ / "tokens.h5");
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::shared_ptr<const Loader> loader(int64_t seq_len, bool shuffle) {
    return std::make_shared<const Loader>(
        store_, LoaderOptions{.packer = {.seq_len = seq_len}, .shuffle = shuffle});
  }

  /// What tensors of a mebibyte and more had at most.
  int64_t peak_of(const Drawn& drawn) {
    const int64_t before = page_use().live;
    forget_peak_of_pages();
    auto model = random_model(drawn.config, 1, drawn.dtype);
    if (drawn.quantization != Quantization::kNone) {
      model->visit_linears([&](const std::string&, std::unique_ptr<Linear>& linear) {
        linear->quantized = quantize_weight(linear->weight, drawn.quantization);
        linear->weight.reset();
      });
    }
    apply_lora(*model, drawn.lora);
    TrainerOptions options{.optimizer = {.lr = 1e-4}, .memory = drawn.memory};
    options.memory.offload_dir = folder_;
    Trainer trainer(*model, {drawn.stage}, {loader(drawn.stage.seq_len, true)}, options);
    if (drawn.validation_seq_len) {
      const int64_t seq_len =
          *drawn.validation_seq_len > 0 ? *drawn.validation_seq_len : drawn.stage.seq_len;
      trainer.add(std::make_unique<Validation>(ValidationOptions{.every_steps = 1, .sequences = 1},
                                               loader(seq_len, false)));
    }
    trainer.run();
    return page_use().peak_live - before;
  }

  fs::path folder_ = fs::temp_directory_path() / ("plan_drawn_test-" + std::to_string(getpid()));
  std::shared_ptr<const TokenStore> store_;
};

TEST_P(PlanDrawn, IsWithinATenthOfWhatTensorsHad) {
  use_page_allocator();
  const Drawn drawn = draw(GetParam());
  RunShape shape = run_shape(drawn.config, drawn.lora, drawn.dtype, drawn.quantization,
                             TrainerOptions().loss_chunk_tokens, at::get_num_threads());
  shape.validation_seq_len = drawn.validation_seq_len;
  const MemoryPlan plan = plan_memory(shape, drawn.stage, drawn.memory);
  const auto planned = static_cast<double>(plan.total() - plan.program);
  const auto peak = static_cast<double>(peak_of(drawn));
  EXPECT_NEAR(planned / peak, 1, 0.1)
      << drawn.description << "\npeak " << human_bytes(static_cast<int64_t>(peak)) << ", planned "
      << human_bytes(static_cast<int64_t>(planned)) << ": weights " << human_bytes(plan.weights)
      << ", trained " << human_bytes(plan.trained) << ", kept " << human_bytes(plan.kept)
      << ", attention " << human_bytes(plan.attention) << ", mlp " << human_bytes(plan.mlp)
      << ", loss " << human_bytes(plan.loss) << ", update " << human_bytes(plan.update)
      << ", validation " << human_bytes(plan.validation);
}

INSTANTIATE_TEST_SUITE_P(Seeds, PlanDrawn, testing::Range<uint64_t>(1, 25));

}  // namespace
}  // namespace longspan
