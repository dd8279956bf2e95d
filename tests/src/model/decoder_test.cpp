#include "src/model/decoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <set>

#include "src/core/processor.h"
#include "src/model/apply_lora.h"
#include "src/nn/activation_store.h"
#include "src/nn/chunked_cross_entropy.h"
#include "tests/support/float32_bound.h"
#include "tests/support/largest.h"
#include "tests/support/products.h"
#include "tests/support/tiny_llama.h"

namespace longspan {
namespace {

at::Tensor random_ids(int64_t rows, int64_t seq_len) {
  return at::randint(61, {rows, seq_len}, at::kLong);
}

TEST(Decoder, NamesItsParametersAsHuggingFaceDoes) {
  auto model = make_causal_lm(tiny_llama_config());
  std::vector<std::string> names;
  model->visit_parameters("", [&](const std::string& name, at::Tensor&) { names.push_back(name); });
  EXPECT_EQ(names.size(), 1 + 2 * 9 + 1u);
  EXPECT_EQ(names.front(), "model.embed_tokens.weight");
  EXPECT_EQ(names[1], "model.layers.0.self_attn.q_proj.weight");
  EXPECT_EQ(names.back(), "model.norm.weight");
}

/// A RoPE that depends on the length is that of the whole text, wherever the row's positions end.
TEST(Decoder, RotatesSkippedPositionsAsTheTextThatTheySkipIn) {
  at::NoGradGuard no_gradients;
  ModelConfig config = tiny_llama_config();
  config.max_position_embeddings = 16;
  const Json dynamic{{"rope_type", "dynamic"}, {"factor", 4}};
  Diagnostics diagnostics;
  config.rope_scaling = read_rope_scaling(Fields(dynamic, diagnostics));
  const auto model = random_model(config);
  const at::Tensor ids = random_ids(1, 8), near = at::arange(8).unsqueeze(0);
  const at::Tensor beside_the_end =
      model->hidden_states({at::cat({ids, ids}), at::cat({near, near + 56}), {}});
  const auto with_length = [&](int64_t length) {
    return model->hidden_states({ids, near, {}, 0, 0, length});
  };
  EXPECT_TRUE(at::allclose(with_length(64), beside_the_end.narrow(0, 0, 1), 1e-5, 1e-6));
  EXPECT_FALSE(at::allclose(with_length(0), beside_the_end.narrow(0, 0, 1), 1e-3, 1e-4));
}

TEST(Decoder, ContinuesFromTheCache) {
  at::NoGradGuard no_gradients;
  auto model = random_model(tiny_llama_config());
  at::Tensor ids = random_ids(1, 30);
  at::Tensor whole = model->hidden_states({ids, {}, {}});
  ModelState state;
  at::Tensor first = model->hidden_states({ids.narrow(1, 0, 17), {}, {}}, &state);
  at::Tensor rest = model->hidden_states({ids.narrow(1, 17, 13), {}, {}}, &state);
  EXPECT_EQ(state.length(), 30);
  const double bound = float32_bound(whole, terms_of_logits(model->config(), 30));
  EXPECT_LT(largest(first - whole.narrow(1, 0, 17)), bound);
  EXPECT_LT(largest(rest - whole.narrow(1, 17, 13)), bound);
}

TEST(Decoder, KeepsPackedDocumentsApart) {
  at::NoGradGuard no_gradients;
  auto model = random_model(tiny_llama_config());
  at::Tensor ids = random_ids(1, 20);
  at::Tensor documents = at::tensor(std::vector<int64_t>(20, 0)).unsqueeze(0);
  documents.narrow(1, 12, 8).fill_(1);
  at::Tensor positions =
      at::tensor({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 6, 7}, at::kLong)
          .unsqueeze(0);
  at::Tensor packed = model->hidden_states({ids, positions, documents});
  at::Tensor alone = model->hidden_states({ids.narrow(1, 12, 8), {}, {}});
  EXPECT_LT(largest(packed.narrow(1, 12, 8) - alone),
            float32_bound(alone, terms_of_logits(model->config(), 20)));
}

struct Gradients {
  double loss;
  std::vector<std::pair<std::string, at::Tensor>> values;
};

Gradients train_gradients(CausalLm& model, const at::Tensor& ids, RecomputeOptions recompute) {
  model.set_activations({.recompute = std::move(recompute)});
  at::Tensor hidden = model.hidden_states({ids, {}, {}}).flatten(0, 1);
  at::Tensor loss =
      chunked_cross_entropy_sum(hidden, model.lm_head_weight(), ids.roll(-1, 1).flatten());
  loss.backward();
  Gradients gradients{loss.item<double>(), {}};
  model.visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
    if (!parameter.requires_grad()) {
      EXPECT_FALSE(parameter.grad().defined()) << name;
      return;
    }
    gradients.values.emplace_back(name, parameter.grad().clone());
    parameter.mutable_grad().reset();
  });
  return gradients;
}

void expect_recomputation_changes_nothing(const ModelConfig& config, const char* saved) {
  auto model = random_model(config);
  apply_lora(*model, {.r = 4, .modules_to_save = {saved}});
  const at::Tensor ids = random_ids(2, 24);
  const Gradients kept = train_gradients(*model, ids, {});
  const auto store = std::make_shared<ActivationStore>(
      ActivationStoreOptions{.ram_bytes = 5000, .directory = ::testing::TempDir()});
  const RecomputeOptions ways[] = {
      {.what = Recompute::kSelective, .num_layers = 1},
      {.what = Recompute::kSelective},
      {.what = Recompute::kSelective, .store = store},
      {.what = Recompute::kSelectivePlusPlus},
      {.what = Recompute::kSelectivePlusPlus, .store = store},
      {.what = Recompute::kLayer},
  };
  for (const RecomputeOptions& way : ways) {
    const Gradients recomputed = train_gradients(*model, ids, way);
    EXPECT_EQ(kept.loss, recomputed.loss);
    ASSERT_EQ(kept.values.size(), recomputed.values.size());
    for (size_t i = 0; i < kept.values.size(); ++i) {
      const auto& [name, right] = kept.values[i];
      EXPECT_LE(largest(recomputed.values[i].second - right), float32_bound(right, ids.numel()))
          << name;
    }
  }
  EXPECT_GT(store->bytes_read(), 0);
}

TEST(Decoder, GivesTheSameGradientsWithRecomputation) {
  ModelConfig config = tiny_llama_config();
  for (const auto* saved : {"norm", "embed_tokens"}) {
    // The flash kernels, whose results are kept, take multiples of 16.
    for (int64_t head_dim : {8, 16}) {
      SCOPED_TRACE(head_dim);
      config.head_dim = head_dim;
      expect_recomputation_changes_nothing(config, saved);
    }
  }
}

// A layer without adapters has 7 products forward and 7 for the gradient of its input.
TEST(Decoder, MultipliesInBackwardWhatItsRecomputationSays) {
  if (processor() == Processor::kNone) GTEST_SKIP() << "attention is kept by flash kernels alone";
  ModelConfig config = tiny_llama_config();
  config.head_dim = 16;
  auto model = random_model(config);
  model->visit_parameters("", [](const std::string& name, at::Tensor& parameter) {
    if (name == "model.embed_tokens.weight") parameter.requires_grad_(true);
  });
  const at::Tensor ids = random_ids(1, 24);
  const auto products = [&](Recompute what) {
    model->set_activations({.recompute = {.what = what}});
    const at::Tensor loss = model->hidden_states({ids, {}, {}}).sum();
    return products_of([&] { loss.backward(); });
  };
  const int64_t layers = config.num_hidden_layers;
  EXPECT_EQ(products(Recompute::kNone), 7 * layers);
  EXPECT_EQ(products(Recompute::kSelective), (7 + 5) * layers);          // q, k, v, gate, up
  EXPECT_EQ(products(Recompute::kSelectivePlusPlus), (7 + 6) * layers);  // and o
  EXPECT_EQ(products(Recompute::kLayer), (7 + 6) * layers);
}

TEST(Decoder, TrainsOnWhatFollowsAStateWithAnyRecomputation) {
  auto model = random_model(tiny_llama_config());
  apply_lora(*model, {.r = 4});
  const at::Tensor ids = random_ids(1, 20);
  ModelState read;
  {
    const at::NoGradGuard no_gradients;
    model->hidden_states({ids.narrow(1, 0, 8), {}, {}}, &read);
  }
  std::vector<at::Tensor> expected;
  for (const Recompute what : {Recompute::kNone, Recompute::kSelective,
                               Recompute::kSelectivePlusPlus, Recompute::kLayer}) {
    model->set_activations({.recompute = {.what = what}});
    ModelState state = read.fork();
    at::Tensor first = model->hidden_states({ids.narrow(1, 8, 7), {}, {}}, &state);
    at::Tensor second = model->hidden_states({ids.narrow(1, 15, 5), {}, {}}, &state);
    EXPECT_EQ(state.length(), 20);
    (first.square().sum() + second.square().sum()).backward();
    std::vector<at::Tensor> found{first.detach(), second.detach()};
    model->visit_parameters("", [&](const std::string&, at::Tensor& parameter) {
      if (!parameter.requires_grad()) return;
      found.push_back(parameter.grad().clone());
      parameter.mutable_grad().reset();
    });
    if (expected.empty()) expected = found;
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_LE(largest(found[i] - expected[i]), 1e-6 * largest(expected[i])) << i;
    }
  }
  EXPECT_EQ(read.length(), 8);
}

TEST(Decoder, FollowsItsRopeScaling) {
  at::NoGradGuard no_gradients;
  auto model = random_model(tiny_llama_config());
  at::Tensor ids = random_ids(1, 40);
  at::Tensor before = model->hidden_states({ids, {}, {}});
  Diagnostics diagnostics;
  Json yarn{{"rope_type", "yarn"}, {"factor", 2.0}, {"original_max_position_embeddings", 64}};
  model->set_rope_scaling(read_rope_scaling(Fields(yarn, diagnostics)), 128);
  diagnostics.throw_if_any(ExitCode::kFailure);
  EXPECT_EQ(model->config().max_position_embeddings, 128);
  EXPECT_EQ(model->config().rope_geometry().max_position_embeddings, 64);
  EXPECT_GT(largest(model->hidden_states({ids, {}, {}}) - before), 1e-3);
}

TEST(ApplyLora, TrainsWhatPeftWouldTrain) {
  auto model = random_model(tiny_llama_config());
  apply_lora(*model,
             {.r = 2, .target_modules = {"q_proj", "down_proj"}, .modules_to_save = {"norm"}});
  std::set<std::string> trained;
  model->visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
    if (parameter.requires_grad()) trained.insert(name);
  });
  EXPECT_EQ(trained.size(), 2 * (4 + 2) + 1u);
  EXPECT_TRUE(trained.contains("model.layers.1.self_attn.q_proj.lora_A.weight"));
  EXPECT_TRUE(trained.contains("model.layers.0.mlp.down_proj.lora_B.weight"));
  EXPECT_TRUE(trained.contains("model.layers.0.post_attention_layernorm.weight"));
  EXPECT_TRUE(trained.contains("model.norm.weight"));
  EXPECT_FALSE(trained.contains("model.embed_tokens.weight"));
}

TEST(ApplyLora, NoneTrainsEveryParameterAndNoOther) {
  auto model = random_model(tiny_llama_config());
  const LoraOptions none{.none = true};
  apply_lora(*model, none);
  std::vector<std::string> names;
  model->visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
    EXPECT_TRUE(parameter.requires_grad()) << name;
    names.push_back(name);
  });
  EXPECT_EQ(names.size(), 1 + 2 * 9 + 1u);
  EXPECT_EQ(trained_parameters(*random_model(tiny_llama_config()), none), names);
}

TEST(ApplyLora, RefusesNamesThatMatchNothing) {
  auto model = random_model(tiny_llama_config());
  try {
    apply_lora(*model, {.target_modules = {"q_proj", "qproj"}});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kRecipe);
    EXPECT_NE(std::string(e.what()).find("'qproj' matches no module"), std::string::npos);
  }
}

TEST(MakeCausalLm, NamesTheFamiliesItKnows) {
  ModelConfig config = tiny_llama_config();
  config.model_type = "gpt5";
  try {
    make_causal_lm(config);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("expected one of llama"), std::string::npos);
  }
}

}  // namespace
}  // namespace longspan
