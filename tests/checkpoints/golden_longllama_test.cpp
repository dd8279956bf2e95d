// What LongLLaMA's own code computes (tests/reference/longllama), computed by us.

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoints/hf/hf_config.h"
#include "checkpoints/hf/hf_importer.h"
#include "checkpoints/safetensors.h"
#include "src/attention/cross_batch.h"
#include "src/attention/focused_memory.h"
#include "src/model/generate.h"
#include "tests/support/errors.h"
#include "tests/support/largest.h"
#include "tests/support/places.h"

namespace longspan {
namespace {

const std::filesystem::path kLongLlama = reference_folder() / "longllama";

std::vector<int64_t> ids_of(const at::Tensor& ids) {
  return {ids.const_data_ptr<int64_t>(), ids.const_data_ptr<int64_t>() + ids.numel()};
}

class GoldenLongLlama : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<CausalLm> model() const {
    return import_model(*open_model_source(kLongLlama / GetParam()), {.dtype = at::kFloat});
  }
  at::Tensor golden(const std::string& name) const { return golden_.tensor(name); }

  SafetensorsReader golden_{kLongLlama / GetParam() / "expected.safetensors"};
};

TEST_P(GoldenLongLlama, ReadsInWindowsAsItsOwnCodeDoes) {
  const at::NoGradGuard no_gradients;
  const auto model = this->model();
  for (const char* tokens : {"16", "32", "101", "192"}) {
    const at::Tensor ids = golden(std::string("ids.") + tokens).unsqueeze(0);
    const at::Tensor hidden = model->hidden_states({ids, {}, {}}).squeeze(0);
    const at::Tensor logits = at::linear(hidden, model->lm_head_weight());
    EXPECT_LT(largest(logits - golden(std::string("logits.") + tokens)), 1e-5) << tokens;
  }
}

TEST_P(GoldenLongLlama, ReadsInPassesWhatItReadsAtOnce) {
  const auto model = this->model();
  const at::Tensor expected = golden("logits.192")[-1];
  for (const int64_t chunk : {1, 7, 32, 50, 191}) {
    ModelState state;
    const at::Tensor hidden = prefill(*model, ids_of(golden("ids.192")), state, chunk);
    const at::Tensor logits = at::linear(hidden, model->lm_head_weight()).squeeze(0);
    EXPECT_LT(largest(logits - expected), 1e-5) << chunk;
    EXPECT_EQ(state.length(), 192);
  }
}

TEST_P(GoldenLongLlama, GeneratesItsTextWhoseCacheSpillsIntoMemory) {
  const auto model = this->model();
  const std::vector<int64_t> prompt = ids_of(golden("greedy.prompt"));
  const std::vector<int64_t> expected = ids_of(golden("greedy.new"));
  EXPECT_EQ(generate(*model, prompt, {.max_new_tokens = std::ssize(expected)}), expected);
  ModelState state;
  prefill(*model, prompt, state, 10);
  ModelState fork = state.fork();
  generate(*model, {1, 2, 3}, {.max_new_tokens = 40}, {}, &fork);
  // The first new token stands in for the end of the prompt.
  const std::vector<int64_t> rest(expected.begin() + 1, expected.end());
  EXPECT_EQ(generate(*model, {expected[0]}, {.max_new_tokens = std::ssize(rest)}, {}, &state),
            rest);
}

TEST_P(GoldenLongLlama, ComesBackTheSame) {
  const Json given = read_json_file(kLongLlama / GetParam() / "config.json", ExitCode::kFailure);
  const Json written = write_hf_config(read_hf_config(given, ""), at::kFloat);
  for (const auto& [key, value] : given.items()) {
    if (key == "rope_scaling") continue;
    EXPECT_EQ(written.value(key, Json()), value) << key;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenLongLlama, testing::Values("a", "b"),
                         [](const auto& info) { return info.param; });

TEST(LongLlamaConfig, RefusesWhatDoesNotFitTheModel) {
  const Json config = read_json_file(kLongLlama / "a" / "config.json", ExitCode::kFailure);
  const auto refused = [&](const Json& changes) {
    Json changed = config;
    changed.update(changes);
    return error_of([&] { read_hf_config(changed, "there"); }, ExitCode::kModel);
  };
  EXPECT_THAT(refused({{"mem_layers", {1, 3}}}),
              testing::HasSubstr("mem_layers: has 3; expected layers from 0 to 2"));
  EXPECT_THAT(refused({{"last_context_length", 33}}), testing::HasSubstr("1 to 32"));
  EXPECT_THAT(refused({{"mem_dtype", "float8"}}), testing::HasSubstr("bfloat16"));
}

// LongLLaMA's code unpacks it as two numbers above 0.
TEST(LongLlamaConfig, TakesAGroupingOfHeadsAndQueriesAlone) {
  Json config = read_json_file(kLongLlama / "a" / "config.json", ExitCode::kFailure);
  const auto refused = [&](const Json& grouping) {
    config["mem_attention_grouping"] = grouping;
    return error_of([&] { read_hf_config(config, "there"); }, ExitCode::kModel);
  };
  const std::string place = "mem_attention_grouping: ";
  EXPECT_THAT(refused(4), testing::HasSubstr(place + "expected a list in brackets, got 4"));
  EXPECT_THAT(refused({4}), testing::HasSubstr(place + "has [4]; expected two numbers from 1"));
  EXPECT_THAT(refused({4, 0}), testing::HasSubstr(place + "has [4, 0]; expected two"));
  EXPECT_THAT(refused({4, 2048, 1}), testing::HasSubstr(place + "has [4, 2048, 1]; expected two"));
  EXPECT_EQ(refused(nullptr), "no error");
  EXPECT_EQ(refused({4, 2048}), "no error");
  const ModelConfig read = read_hf_config(config, "");
  EXPECT_EQ(write_hf_config(read, at::kFloat)["mem_attention_grouping"], Json({4, 2048}));
}

// LongLLaMA's 1,024 would fit no window of 32 tokens.
TEST(LongLlamaConfig, WithoutALastContextHasOneThatFitsItsWindow) {
  Json config = read_json_file(kLongLlama / "a" / "config.json", ExitCode::kFailure);
  config.erase("last_context_length");
  const auto last_context = [&](int64_t window) {
    config["max_position_embeddings"] = window;
    const ModelConfig read = read_hf_config(config, "");
    return dynamic_cast<const FocusedMemoryAttention&>(*read.attention)
        .options()
        .lengths.last_context;
  };
  EXPECT_EQ(last_context(32), 16);
  EXPECT_EQ(last_context(2048), 1024);
  config.erase("max_position_embeddings");
  EXPECT_NO_THROW(read_hf_config(config, ""));
}

TEST(LongLlamaConfig, IsWrittenForALlamaThatHasMemory) {
  Json llama = read_json_file(kLongLlama / "a" / "config.json", ExitCode::kFailure);
  for (const char* key : {"mem_layers", "mem_positionals", "mem_dtype", "last_context_length"}) {
    llama.erase(key);
  }
  llama["model_type"] = "llama";
  ModelConfig config = read_hf_config(llama, "");
  EXPECT_EQ(config.attention, nullptr);
  FocusedMemoryOptions options;
  options.mem_layers = {0, 2};
  options.lengths = {16, 4};
  options.mem_dtype = MemDtype::kInt4;
  config.attention = std::make_shared<FocusedMemoryAttention>(options);
  const Json written = write_hf_config(config, at::kFloat);
  EXPECT_EQ(written["model_type"], "longllama");
  EXPECT_EQ(written["architectures"], Json({"LongLlamaForCausalLM"}));
  EXPECT_EQ(written["mem_layers"], Json({0, 2}));
  EXPECT_EQ(written["max_position_embeddings"], 16);
  EXPECT_EQ(written["last_context_length"], 4);
  EXPECT_EQ(written["mem_dtype"], "bfloat16");
}

/// x [B, T, H, D] -> [B, H, T, D].
at::Tensor heads_first_of(const at::Tensor& x) { return x.transpose(1, 2).contiguous(); }

/// Half split, theta 10000, at positions 0 .. T - 1, in float64.
at::Tensor rotated(const at::Tensor& x) {
  const int64_t half = x.size(3) / 2;
  const at::Tensor inv_freq =
      at::pow(10000.0, at::arange(half, at::kDouble) * (-1.0 / static_cast<double>(half)));
  const at::Tensor angles = at::arange(x.size(2), at::kDouble).unsqueeze(1) * inv_freq;
  const at::Tensor c = angles.cos(), s = angles.sin();
  const at::Tensor low = x.narrow(3, 0, half), high = x.narrow(3, half, half);
  return at::cat({low * c - high * s, high * c + low * s}, 3);
}

/// cross_batch_range, cross_batch_stepping and dataset_packing of its code, as a schedule.
CrossBatchSchedule schedule_of(const Json& golden) {
  const auto range = golden["cross_batch_range"].get<int64_t>();
  const auto packing = golden["dataset_packing"].get<int64_t>();
  const bool stepping = golden["cross_batch_stepping"].get<bool>() && packing > 1;
  const int64_t attentions = 1 + range, steps = std::max<int64_t>(1, packing - 1);
  const int64_t step = (attentions + steps - 1) / steps;
  CrossBatchSchedule schedule;
  for (int64_t place = 0; place < packing; ++place) {
    const int64_t all = stepping ? std::min(place * step + 1, attentions) - 1 : range;
    const int64_t positives = std::min(place, all);
    schedule.push_back({positives, all - positives});
  }
  return schedule;
}

TEST(GoldenCrossBatch, GivesTheOutputsAndGradientsOfItsJaxCode) {
  const SafetensorsReader golden(kLongLlama / "cross_batch.safetensors");
  const Json settings = read_json_file(kLongLlama / "cross_batch.json", ExitCode::kFailure);
  int cases = 0;
  for (const Json& setting : settings["cases"]) {
    const std::string name = setting["name"];
    const auto operand = [&](const char* key) {
      return heads_first_of(golden.tensor(key)).requires_grad_(true);
    };
    const auto expected = [&](const char* key) {
      return heads_first_of(golden.tensor(name + "." + key));
    };
    const at::Tensor q = operand("q"), k = operand("k"), v = operand("v");
    const VisibleKeys own{at::zeros(q.sizes().slice(0, 3), at::kInt)};
    const CrossBatchSchedule schedule = schedule_of(setting);
    AttentionResult kept;
    {
      const at::NoGradGuard no_gradients;
      cross_batch_attention(rotated(q), rotated(k), v, k, own, schedule, &kept);
    }
    for (AttentionResult* given : {static_cast<AttentionResult*>(nullptr), &kept}) {
      const at::Tensor out =
          cross_batch_attention(rotated(q), rotated(k), v, k, own, schedule, given);
      EXPECT_LT(largest(out - expected("out")), 1e-10) << name;
      (out * heads_first_of(golden.tensor("upstream"))).sum().backward();
      for (const auto& [x, key] : {std::pair{q, "dq"}, {k, "dk"}, {v, "dv"}}) {
        EXPECT_LT(largest(x.grad() - expected(key)), 1e-10) << name << " " << key;
        x.mutable_grad().reset();
      }
    }
    ++cases;
  }
  EXPECT_EQ(cases, 6);
}

}  // namespace
}  // namespace longspan
