#include "trainer/optimizer/adamw.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include <cmath>

#include "src/core/error.h"
#include "src/nn/module.h"
#include "tests/support/largest.h"

namespace longspan {
namespace {

class Parameters : public Module {
 public:
  explicit Parameters(std::vector<std::pair<std::string, at::Tensor>> named)
      : named_(std::move(named)) {}
  void visit_parameters(const std::string& prefix, const ParameterVisitor& visit) override {
    for (auto& [name, parameter] : named_) visit(prefix + name, parameter);
  }
  at::Tensor& operator[](size_t i) { return named_[i].second; }

 private:
  std::vector<std::pair<std::string, at::Tensor>> named_;
};

at::Tensor trained(const at::Tensor& values) {
  return values.detach().clone().requires_grad_(true);
}

Parameters one_matrix(at::ScalarType dtype = at::kFloat) {
  at::manual_seed(0);
  return Parameters({{"proj.weight", trained(at::randn({5, 7}).to(dtype))}});
}

void give_gradient(at::Tensor& parameter, const at::Tensor& gradient) {
  parameter.mutable_grad() = gradient.to(parameter.scalar_type());
}

// Loshchilov & Hutter, algorithm 2, in float64.
struct Textbook {
  at::Tensor weight, m, v;
  explicit Textbook(const at::Tensor& start)
      : weight(start.detach().to(at::kDouble, false, true)),
        m(at::zeros(start.sizes(), at::kDouble)),
        v(at::zeros(start.sizes(), at::kDouble)) {}
  void update(const at::Tensor& gradient, int64_t step, double lr, const AdamWOptions& o) {
    at::Tensor g = gradient.to(at::kDouble);
    m = o.beta1 * m + (1 - o.beta1) * g;
    v = o.beta2 * v + (1 - o.beta2) * g * g;
    at::Tensor m_hat = m / (1 - std::pow(o.beta1, step)), v_hat = v / (1 - std::pow(o.beta2, step));
    weight = weight - lr * (m_hat / (v_hat.sqrt() + o.eps) + o.weight_decay * weight);
  }
};

TEST(AdamW, FollowsTheTextbookInFloat64) {
  AdamWOptions options{.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1};
  Parameters model = one_matrix();
  AdamW optimizer(model, options);
  Textbook textbook(model[0]);
  for (int64_t step = 1; step <= 20; ++step) {
    at::Tensor gradient = at::randn({5, 7});
    give_gradient(model[0], gradient);
    optimizer.accumulate_gradients();
    double lr = 1e-2 / static_cast<double>(step);
    optimizer.update(step, lr);
    textbook.update(gradient, step, lr, options);
  }
  EXPECT_LT(largest_difference(model[0], textbook.weight), 1e-6);
}

Parameters of_each_kind() {
  at::manual_seed(0);
  return Parameters({{"layers.0.q_proj.lora_A.weight", trained(at::randn({2, 5}))},
                     {"layers.0.q_proj.lora_B.weight", trained(at::randn({3, 2}))},
                     {"layers.0.q_proj.lora_magnitude_vector", trained(at::randn({3}))},
                     {"norm.weight", trained(at::randn({4}))},
                     {"embed_tokens.weight", trained(at::randn({4, 3}))}});
}

TEST(AdamW, LoraPlusIsForEveryBAndAsInPeftForEveryVector) {
  Parameters model = of_each_kind();
  const AdamW optimizer(model, {.lora_plus_ratio = 16});
  std::vector<double> ratios;
  for (const auto& weight : optimizer.weights()) ratios.push_back(weight.lr_ratio);
  EXPECT_THAT(ratios, testing::ElementsAre(1, 16, 16, 16, 1));
}

TEST(AdamW, AGroupHasItsOwnLearningRateAndDecay) {
  Parameters model = of_each_kind();
  const AdamWOptions options{.lr = 1e-2,
                             .weight_decay = 0.1,
                             .lora_plus_ratio = 4,
                             .groups = {{.pattern = "embed|^norm", .lr = 5e-3},
                                        {.pattern = "norm|lora_B", .weight_decay = 0.5}}};
  AdamW optimizer(model, options);
  const std::vector<double> rates{1e-2, 4e-2, 4e-2, 5e-3, 5e-3};
  const std::vector<double> decays{0.1, 0.5, 0, 0, 0};
  std::vector<Textbook> textbooks;
  std::vector<at::Tensor> gradients;
  for (size_t i = 0; i < rates.size(); ++i) {
    textbooks.emplace_back(model[i]);
    gradients.push_back(at::randn(model[i].sizes()));
    give_gradient(model[i], gradients[i]);
  }
  optimizer.accumulate_gradients();
  optimizer.update(1, options.lr / 2);  // half way down a schedule
  for (size_t i = 0; i < rates.size(); ++i) {
    AdamWOptions own = options;
    own.weight_decay = decays[i];
    textbooks[i].update(gradients[i], 1, rates[i] / 2, own);
    EXPECT_LT(largest_difference(model[i], textbooks[i].weight), 1e-6) << i;
  }
}

TEST(AdamW, AccumulatesBfloat16GradientsInFloat32) {
  Parameters model = one_matrix(at::kBFloat16);
  AdamW optimizer(model, {});
  for (int i = 0; i < 300; ++i) {  // in bfloat16 the sum would stop growing at 256
    give_gradient(model[0], at::zeros({5, 7}) + 1);
    optimizer.accumulate_gradients();
  }
  EXPECT_EQ(optimizer.weights()[0].gradient.min().item<double>(), 300);
  EXPECT_FALSE(model[0].grad().defined());
}

TEST(AdamW, KeepsUpdatesTooSmallForBfloat16InTheMaster) {
  Parameters model = one_matrix(at::kBFloat16);
  model[0].detach().fill_(1.0);
  AdamW optimizer(model, {});
  for (int64_t step = 1; step <= 100; ++step) {
    give_gradient(model[0], at::zeros({5, 7}) + 1);
    optimizer.accumulate_gradients();
    optimizer.update(step, 1e-4);  // bfloat16 below 1 has steps of 2^-8
  }
  EXPECT_NEAR(optimizer.weights()[0].master[0][0].item<double>(), 0.99, 1e-4);
  EXPECT_EQ(model[0].scalar_type(), at::kBFloat16);
  EXPECT_TRUE(at::equal(model[0].detach(), optimizer.weights()[0].master.to(at::kBFloat16)));
}

TEST(AdamW, DecaysMatricesOnly) {
  Parameters model({{"model.layers.0.q_proj.lora_A.weight", trained(at::zeros({2, 2}) + 1)},
                    {"model.norm.weight", trained(at::zeros({2}) + 1)},
                    {"model.embed_tokens.weight", trained(at::zeros({2, 2}) + 1)}});
  AdamW optimizer(model, {.weight_decay = 0.5});
  optimizer.update(1, 0.1);
  EXPECT_NEAR(model[0][0][0].item<double>(), 0.95, 1e-6);
  EXPECT_EQ(model[1][0].item<double>(), 1);
  EXPECT_EQ(model[2][0][0].item<double>(), 1);
}

TEST(AdamW, GradientNormIsGlobal) {
  Parameters model({{"a", trained(at::zeros({1}))}, {"b", trained(at::zeros({1}))}});
  AdamW optimizer(model, {});
  give_gradient(model[0], at::zeros({1}) + 3);
  give_gradient(model[1], at::zeros({1}) + 4);
  optimizer.accumulate_gradients();
  EXPECT_DOUBLE_EQ(optimizer.gradient_norm(), 5);
  optimizer.scale_gradients(0.5);
  EXPECT_DOUBLE_EQ(optimizer.gradient_norm(), 2.5);
}

TEST(AdamW, GradientNormTellsNan) {
  Parameters model = one_matrix();
  AdamW optimizer(model, {});
  at::Tensor gradient = at::zeros({5, 7});
  gradient[2][3] = std::nan("");
  give_gradient(model[0], gradient);
  optimizer.accumulate_gradients();
  EXPECT_TRUE(std::isnan(optimizer.gradient_norm()));
}

TEST(AdamW, StartsEachUpdateFromZeroGradients) {
  Parameters model = one_matrix();
  AdamW optimizer(model, {});
  give_gradient(model[0], at::randn({5, 7}));
  optimizer.accumulate_gradients();
  optimizer.update(1, 1e-3);
  EXPECT_EQ(optimizer.gradient_norm(), 0);
}

TEST(AdamW, LeavesFrozenParametersAlone) {
  Parameters model({{"frozen", at::zeros({2})}, {"trained", trained(at::zeros({2}))}});
  AdamW optimizer(model, {});
  ASSERT_EQ(optimizer.weights().size(), 1u);
  EXPECT_EQ(optimizer.weights()[0].name, "trained");
}

TEST(AdamW, WithNothingToTrainSaysSo) {
  Parameters model({{"frozen", at::zeros({2})}});
  EXPECT_THROW(AdamW(model, {}), Error);
}

Parameters matrix_of_17_blocks() {
  at::manual_seed(1);
  return Parameters({{"proj.weight", trained(at::randn({50, 84}).to(at::kBFloat16))}});
}

class AdamWState : public testing::TestWithParam<int64_t> {};

INSTANTIATE_TEST_SUITE_P(Bits, AdamWState, testing::Values(32, 8));

TEST_P(AdamWState, GoesOnBitForBitFromWhatItSaved) {
  const AdamWOptions options{.state_bits = GetParam()};
  std::vector<at::Tensor> gradients;
  for (int i = 0; i < 6; ++i) gradients.push_back(at::randn({50, 84}));
  const auto run = [&](AdamW& optimizer, at::Tensor& parameter, int64_t from, int64_t to) {
    for (int64_t step = from; step <= to; ++step) {
      give_gradient(parameter, gradients[step - 1]);
      optimizer.accumulate_gradients();
      optimizer.update(step, 1e-2);
    }
  };
  Parameters whole = matrix_of_17_blocks(), first = matrix_of_17_blocks(),
             second = matrix_of_17_blocks();
  AdamW unbroken(whole, options), before(first, options), after(second, options);
  run(unbroken, whole[0], 1, 6);
  run(before, first[0], 1, 3);
  after.restore(before.state());
  EXPECT_TRUE(at::equal(second[0], first[0]));
  run(after, second[0], 4, 6);
  EXPECT_TRUE(at::equal(after.weights()[0].master, unbroken.weights()[0].master));
  EXPECT_TRUE(at::equal(second[0], whole[0]));
}

TEST(AdamW, TakesTheOnlyGradientOverWithoutACopy) {
  Parameters model = one_matrix(at::kBFloat16);
  AdamW optimizer(model, {});
  give_gradient(model[0], at::randn({5, 7}));
  const void* made = model[0].grad().const_data_ptr();
  optimizer.accumulate_gradients();
  EXPECT_EQ(optimizer.weights()[0].gradient.const_data_ptr(), made);
  optimizer.update(1, 1e-3);
  EXPECT_FALSE(optimizer.weights()[0].gradient.defined());
}

TEST(AdamW, NeedsNoMasterOfAFloat32Parameter) {
  Parameters model = one_matrix();
  AdamW optimizer(model, {});
  EXPECT_TRUE(optimizer.weights()[0].master.is_alias_of(model[0]));
}

TEST(AdamW, ScalesTheGradientsOfOneUpdateOnly) {
  Parameters scaled = one_matrix(), plain = one_matrix();
  AdamW a(scaled, {}), b(plain, {});
  for (int64_t step = 1; step <= 2; ++step) {
    at::Tensor gradient = at::randn({5, 7});
    const double factor = step == 1 ? 0.5 : 1;
    give_gradient(scaled[0], gradient);
    give_gradient(plain[0], gradient * factor);
    a.accumulate_gradients();
    b.accumulate_gradients();
    if (step == 1) a.scale_gradients(factor);
    EXPECT_EQ(a.gradient_norm(), b.gradient_norm());
    a.update(step, 1e-2);
    b.update(step, 1e-2);
    EXPECT_TRUE(at::equal(scaled[0], plain[0]));
  }
}

TEST(AdamW, RefusesAStateThatDoesNotFit) {
  Parameters model = one_matrix();
  AdamW optimizer(model, {});
  at::Tensor fits = at::zeros({5, 7}), odd = at::zeros({7, 5});
  EXPECT_THROW(optimizer.restore({}), Error);
  EXPECT_THROW(optimizer.restore({{"other", fits, fits, fits}}), Error);
  EXPECT_THROW(optimizer.restore({{"proj.weight", fits, odd, fits}}), Error);
  EXPECT_THROW(optimizer.restore({{"proj.weight", fits.to(at::kDouble), fits, fits}}), Error);
  EXPECT_THROW(optimizer.restore({{"proj.weight", fits, fits, fits, fits, fits}}), Error);
  EXPECT_NO_THROW(optimizer.restore({{"proj.weight", fits, fits, fits}}));
}

TEST(AdamW, RestoresMomentsOfTheOtherNumberOfBits) {
  at::manual_seed(2);
  const at::Tensor start = at::randn({64, 64});
  for (auto [from, to] : {std::pair{32, 8}, {8, 32}}) {
    Parameters before({{"proj.weight", trained(start)}}), after({{"proj.weight", trained(start)}});
    AdamW saved(before, {.state_bits = from}), restored(after, {.state_bits = to});
    give_gradient(before[0], at::randn({64, 64}));
    saved.accumulate_gradients();
    saved.update(1, 1e-3);
    restored.restore(saved.state());
    const AdamWMoments &old = saved.weights()[0].moments, &now = restored.weights()[0].moments;
    EXPECT_EQ(now.in_8bit(), to == 8);
    // The dense values of what is in 8 bits: another conversion, which is exact.
    const auto dense = [&](const AdamWMoments& moments) {
      AdamWMoments values = zero_moments(start, 32);
      if (!moments.in_8bit()) return moments;
      convert_moments(moments, values);
      return values;
    };
    const AdamWMoments was = dense(old), is = dense(now);
    // Codes are at most a fourteenth of a value apart above a tenth of the block's largest.
    EXPECT_LT(largest(is.exp_avg - was.exp_avg), from == 8 ? 1e-12 : 0.01 * largest(was.exp_avg));
    EXPECT_LT(largest(is.exp_avg_sq - was.exp_avg_sq),
              from == 8 ? 1e-12 : 0.01 * largest(was.exp_avg_sq));
    EXPECT_TRUE(at::equal(restored.weights()[0].master, saved.weights()[0].master));
  }
}

}  // namespace
}  // namespace longspan
