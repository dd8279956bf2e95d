#include "src/nn/recompute.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "src/nn/activation_store.h"
#include "src/nn/lora_linear.h"
#include "src/nn/weight_residency.h"
#include "tests/support/largest.h"
#include "tests/support/products.h"

namespace longspan {
namespace {

/// Two blocks: tanh(x W) through a LoraLinear, and tanh(x V) alone.
class Layer {
 public:
  explicit Layer(double lora_dropout = 0) {
    at::manual_seed(5);
    w = at::randn({6, 4}).requires_grad_(true);
    v = at::randn({6, 6}).requires_grad_(true);
    Linear base(4, 6, false);
    base.weight = at::randn({6, 4});
    linear = std::make_unique<LoraLinear>(base, LoraOptions{.r = 2, .lora_dropout = lora_dropout});
    linear->lora_A.requires_grad_(true);
    linear->lora_B = at::randn({6, 2}).requires_grad_(true);
  }

  std::vector<ResidualBlock> blocks(int64_t chunk_tokens = 0) {
    ResidualBlock first, second;
    first.body = [this](const at::Tensor& x, AttentionResult*) {
      ++bodies;
      return at::matmul(x, w).tanh();
    };
    first.linear = linear.get();
    first.chunk_tokens = chunk_tokens;
    first.trained = parameters();
    second.body = [this](const at::Tensor& x, AttentionResult*) {
      ++bodies;
      return at::matmul(x, v).tanh();
    };
    second.trained = {v};
    return {first, second};
  }

  std::vector<at::Tensor> parameters() { return {w, v, linear->lora_A, linear->lora_B}; }

  at::Tensor w, v;
  std::unique_ptr<LoraLinear> linear;
  int bodies = 0;
};

struct Pass {
  at::Tensor y, grad_x;
  std::vector<at::Tensor> gradients;
  int bodies;
};

Pass run(Layer& layer, const RecomputeOptions& options, bool input_needs_gradient,
         int64_t chunk_tokens = 0) {
  at::manual_seed(6);
  at::Tensor x = at::randn({2, 5, 6}).requires_grad_(input_needs_gradient);
  layer.bodies = 0;
  at::Tensor middle = run_layer(layer.blocks(chunk_tokens), x, options, 0);
  Pass pass{run_layer(layer.blocks(chunk_tokens), middle, options, 1), {}, {}, 0};
  pass.y.square().sum().backward();
  pass.bodies = layer.bodies;
  pass.grad_x = x.grad();
  for (auto& parameter : layer.parameters()) {
    pass.gradients.push_back(parameter.grad().clone());
    parameter.mutable_grad().reset();
  }
  return pass;
}

/// `within` relative to the largest value.
void expect_near(const at::Tensor& a, const at::Tensor& b, double within) {
  EXPECT_LE(largest(a - b), within * largest(b));
}

void expect_same(const Pass& a, const Pass& b, double within) {
  expect_near(a.y, b.y, within);
  if (a.grad_x.defined()) expect_near(a.grad_x, b.grad_x, within);
  for (size_t i = 0; i < a.gradients.size(); ++i) {
    expect_near(a.gradients[i], b.gradients[i], within);
  }
}

TEST(Recompute, GivesTheGradientsOfAutogradAndRunsEachBodyOnceMore) {
  Layer layer;
  for (bool input_needs_gradient : {true, false}) {
    Pass plain = run(layer, {}, input_needs_gradient);
    EXPECT_EQ(plain.bodies, 4);
    Pass selective = run(layer, {.what = Recompute::kSelective}, input_needs_gradient);
    EXPECT_EQ(selective.bodies, 8);
    expect_same(selective, plain, 1e-5);
    for (const Recompute what : {Recompute::kSelectivePlusPlus, Recompute::kLayer}) {
      Pass from_input = run(layer, {.what = what}, input_needs_gradient);
      EXPECT_EQ(from_input.bodies, 8);
      expect_same(from_input, selective, 0);
    }
  }
}

TEST(Recompute, MultipliesOnceMoreWhatItMakesAgain) {
  Layer layer;
  const auto products = [&](Recompute what) {
    return products_of([&] { run(layer, {.what = what}, true); });
  };
  const int64_t plain = products(Recompute::kNone);
  // In each of 2 layers x W, x V and, for the gradient of B, x A^T.
  const int64_t selective = products(Recompute::kSelective);
  EXPECT_EQ(selective - plain, 2 * 3);
  // And the linear's three, for the input of the second block.
  EXPECT_EQ(products(Recompute::kSelectivePlusPlus) - selective, 2 * 3);
  EXPECT_EQ(products(Recompute::kLayer) - selective, 2 * 3);
}

TEST(Recompute, LayersMayDiffer) {
  Layer layer;
  const Pass selective = run(layer, {.what = Recompute::kSelective}, true);
  const RecomputeOptions first_alone{.what = Recompute::kLayer, .num_layers = 1};
  EXPECT_EQ(run(layer, first_alone, true).bodies, 6);
  RecomputeOptions both = first_alone;
  both.rest = Recompute::kSelective;
  const Pass mixed = run(layer, both, true);
  EXPECT_EQ(mixed.bodies, 8);
  expect_same(mixed, selective, 0);
}

TEST(Recompute, InChunksOfTokensGivesTheSame) {
  Layer layer;
  Pass whole = run(layer, {.what = Recompute::kSelective}, true);
  for (int64_t chunk_tokens : {1, 2, 4, 5, 9}) {
    expect_same(run(layer, {.what = Recompute::kSelective}, true, chunk_tokens), whole, 1e-5);
    expect_same(run(layer, {.what = Recompute::kLayer}, true, chunk_tokens), whole, 1e-5);
  }
}

TEST(Recompute, DropsTheSameAgainAndInChunks) {
  Layer layer(0.5);
  const Pass undropped = run(layer, {}, true);
  const DropoutPass training(1, 2);
  const Pass plain = run(layer, {}, true);
  EXPECT_GT(largest(plain.y - undropped.y), 0.01);
  for (const Recompute what :
       {Recompute::kSelective, Recompute::kSelectivePlusPlus, Recompute::kLayer}) {
    for (int64_t chunk_tokens : {0, 1, 2, 4}) {
      expect_same(run(layer, {.what = what}, true, chunk_tokens), plain, 1e-5);
    }
  }
}

TEST(Recompute, ThroughTheStoreGivesTheSameBits) {
  Layer layer;
  Pass plain = run(layer, {.what = Recompute::kSelective}, true);
  auto store = std::make_shared<ActivationStore>(
      ActivationStoreOptions{.ram_bytes = 0, .directory = ::testing::TempDir()});
  for (const Recompute what : {Recompute::kSelective, Recompute::kSelectivePlusPlus}) {
    expect_same(run(layer, {.what = what, .store = store}, true), plain, 0);
    EXPECT_EQ(store->bytes_in_ram(), 0);
  }
  EXPECT_GT(store->bytes_written(), 0);
}

TEST(Recompute, AddsToGradientsThatAreThere) {
  Layer layer;
  Pass once = run(layer, {.what = Recompute::kSelective}, true);
  for (int64_t chunk_tokens : {0, 2}) {
    for (auto& parameter : layer.parameters()) parameter.mutable_grad() = parameter.detach() * 1;
    Pass again = run(layer, {.what = Recompute::kSelective}, true, chunk_tokens);
    for (size_t i = 0; i < once.gradients.size(); ++i) {
      at::Tensor expected = once.gradients[i] + layer.parameters()[i].detach();
      expect_near(again.gradients[i], expected, 1e-5);
    }
  }
}

TEST(Recompute, TellsTheResidencyOfEachUse) {
  struct Journal : WeightResidency {
    std::vector<int> uses;
    void will_use(size_t layer) override { uses.push_back(static_cast<int>(layer)); }
    void used(size_t layer) override { uses.push_back(-1 - static_cast<int>(layer)); }
  };
  Layer layer;
  auto journal = std::make_shared<Journal>();
  run(layer, {.what = Recompute::kSelective, .residency = journal}, true);
  EXPECT_EQ(journal->uses, (std::vector<int>{0, -1, 1, -2, 1, -2, 0, -1}));
}

TEST(Recompute, BackwardEndsAtTheFirstTrainedParameter) {
  Layer layer;
  for (const at::Tensor& frozen : {layer.w, layer.linear->lora_A, layer.linear->lora_B}) {
    frozen.requires_grad_(false);
  }
  for (Recompute what : {Recompute::kNone, Recompute::kSelective, Recompute::kSelectivePlusPlus,
                         Recompute::kLayer}) {
    auto blocks = layer.blocks();
    blocks[0].trained.clear();
    layer.bodies = 0;
    at::manual_seed(6);
    const at::Tensor y = run_layer(blocks, at::randn({2, 5, 6}), {.what = what}, 0);
    y.sum().backward();
    EXPECT_EQ(layer.bodies, what == Recompute::kNone ? 2 : 3);  // the second alone is made again
    EXPECT_GT(largest(layer.v.grad()), 0);
    layer.v.requires_grad_(false);
    blocks = layer.blocks();
    for (auto& block : blocks) block.trained.clear();
    EXPECT_FALSE(run_layer(blocks, at::randn({2, 5, 6}), {.what = what}, 0).requires_grad());
    layer.v.requires_grad_(true);
  }
}

TEST(Recompute, KeepsNothingWithoutGradients) {
  Layer layer;
  at::NoGradGuard no_gradients;
  at::Tensor x = at::randn({1, 3, 6});
  at::Tensor y = run_layer(layer.blocks(), x, {.what = Recompute::kSelective}, 0);
  EXPECT_FALSE(y.requires_grad());
  EXPECT_TRUE(at::equal(y, run_layer(layer.blocks(), x, {}, 0)));
}

}  // namespace
}  // namespace longspan
