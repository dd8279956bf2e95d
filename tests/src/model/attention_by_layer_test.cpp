#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <gmock/gmock.h>

#include "src/attention/full.h"
#include "src/model/apply_lora.h"
#include "src/nn/chunked_cross_entropy.h"
#include "tests/support/errors.h"
#include "tests/support/float32_bound.h"
#include "tests/support/masked_attention.h"
#include "tests/support/shifted_sparse_mask.h"
#include "tests/support/tiny_llama.h"

// S2 in some layers or heads of a model and full attention in the others.

namespace longspan {
namespace {

constexpr int64_t kBatchRows = 2, kTextTokens = 26, kGroupTokens = 8;

ModelConfig config_of_layers() {
  ModelConfig config = tiny_llama_config();
  config.num_hidden_layers = 3;
  config.head_dim = 16;  // of the flash kernels, whose results recomputation keeps
  return config;
}

std::shared_ptr<AttentionPattern> in_groups(const Json& layers, int64_t full_heads = 0) {
  const Json keys = {{"pattern", "shifted_sparse"},
                     {"group_size", kGroupTokens},
                     {"layers", layers},
                     {"full_heads", full_heads}};
  Diagnostics diagnostics;
  auto pattern = read_attention_pattern(Fields(keys, diagnostics));
  diagnostics.throw_if_any(ExitCode::kFailure);
  return pattern;
}

/// Attention by its definition in float64: what queries see is given layer by layer.
class MaskedLayers : public FullAttention {
 public:
  explicit MaskedLayers(std::vector<at::Tensor> visible) : visible_(std::move(visible)) {}

  at::Tensor attend(const Heads& heads, const AttentionContext& context) const override {
    const at::Tensor q = context.rotary.rotate(heads.q), k = context.rotary.rotate(heads.k);
    const at::Tensor& visible = visible_[static_cast<size_t>(context.layer)];
    return masked_attention(q.to(at::kDouble), k.to(at::kDouble), heads.v.to(at::kDouble),
                            visible.unsqueeze(0).expand({q.size(0), -1, -1, -1}))
        .to(q.scalar_type());
  }

 private:
  std::vector<at::Tensor> visible_;  // [H, T, T] each
};

std::shared_ptr<AttentionPattern> masked_in_groups(const std::vector<int64_t>& layers,
                                                   int64_t full_heads = 0) {
  const ModelConfig config = config_of_layers();
  const at::Tensor all =
      at::ones({config.num_attention_heads, kTextTokens, kTextTokens}, at::kBool).tril();
  std::vector<at::Tensor> visible(static_cast<size_t>(config.num_hidden_layers), all);
  for (const int64_t layer : layers) {
    visible[static_cast<size_t>(layer)] =
        shifted_sparse_mask(config.num_attention_heads, kTextTokens, kGroupTokens, full_heads);
  }
  return std::make_shared<MaskedLayers>(visible);
}

/// A model of which every weight is trained, and what a pass over its text gives.
class AttentionByLayer : public testing::Test {
 protected:
  struct Pass {
    at::Tensor hidden;  // [B, T, C]
    std::vector<at::Tensor> gradients;
  };

  AttentionByLayer() { apply_lora(*model_, {.none = true}); }

  Pass pass(std::shared_ptr<const AttentionPattern> attention, Recompute what = Recompute::kNone) {
    model_->set_attention(std::move(attention));
    model_->set_activations({.recompute = {.what = what}});
    const at::Tensor hidden = model_->hidden_states({ids_, {}, {}});
    chunked_cross_entropy_sum(hidden.flatten(0, 1), model_->lm_head_weight(),
                              ids_.roll(-1, 1).flatten())
        .backward();
    Pass made{hidden.detach(), {}};
    model_->visit_parameters("", [&](const std::string&, at::Tensor& parameter) {
      made.gradients.push_back(parameter.grad().clone());
      parameter.mutable_grad().reset();
    });
    return made;
  }

  double bound_of(const at::Tensor& hidden) const {
    return float32_bound(hidden, terms_of_logits(model_->config(), kTextTokens));
  }

  std::unique_ptr<CausalLm> model_ = random_model(config_of_layers());
  at::Tensor ids_ = at::randint(61, {kBatchRows, kTextTokens}, at::kLong);
};

TEST_F(AttentionByLayer, NoLayerInGroupsIsFullAttentionAndAllAreThoseOfNoList) {
  const Pass full = pass(make_attention_pattern("full")), none = pass(in_groups(Json::array()));
  const Pass all = pass(in_groups({0, 1, 2})), unlisted = pass(in_groups(nullptr));
  EXPECT_TRUE(at::equal(none.hidden, full.hidden));
  EXPECT_TRUE(at::equal(all.hidden, unlisted.hidden));
  EXPECT_GT(largest(all.hidden - full.hidden), 100 * bound_of(full.hidden));
}

TEST_F(AttentionByLayer, EqualsTheMaskOfEachLayerAndHeadWithAnyRecomputation) {
  const std::vector<std::pair<std::vector<int64_t>, int64_t>> cases = {
      {{1}, 0}, {{0, 2}, 0}, {{0, 1, 2}, 3}, {{0, 2}, 4}};
  for (const auto& [layers, full_heads] : cases) {
    const Pass right = pass(masked_in_groups(layers, full_heads));
    for (const Recompute what : {Recompute::kNone, Recompute::kSelective,
                                 Recompute::kSelectivePlusPlus, Recompute::kLayer}) {
      SCOPED_TRACE(fmt::format("layers {}, {} heads in full, recompute {}",
                               testing::PrintToString(layers), full_heads, static_cast<int>(what)));
      const Pass mixed = pass(in_groups(layers, full_heads), what);
      EXPECT_LE(largest(mixed.hidden - right.hidden), bound_of(right.hidden));
      ASSERT_EQ(mixed.gradients.size(), right.gradients.size());
      for (size_t i = 0; i < right.gradients.size(); ++i) {
        const int64_t terms = terms_of_gradients(model_->config(), kBatchRows * kTextTokens);
        EXPECT_LE(largest(mixed.gradients[i] - right.gradients[i]),
                  float32_bound(right.gradients[i], terms))
            << i;
      }
    }
    const Pass others = pass(masked_in_groups({2}));
    EXPECT_GT(largest(others.hidden - right.hidden), 100 * bound_of(right.hidden));
  }
}

TEST_F(AttentionByLayer, LayersAndHeadsThatTheModelLacksAreRefused) {
  EXPECT_EQ(error_of(
                [&] {
                  model_->set_attention(in_groups({2, 3}));
                },
                ExitCode::kModel),
            "attention shifted_sparse: layers has 3, and the model's layers are 0 to 2");
  EXPECT_EQ(error_of([&] { model_->set_attention(in_groups(nullptr, 10)); }, ExitCode::kModel),
            "attention shifted_sparse: full_heads is 10, and the model has 9 query heads");
}

}  // namespace
}  // namespace longspan
