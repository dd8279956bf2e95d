#include "src/nn/chunked_cross_entropy.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <optional>

#include "tests/support/float32_bound.h"
#include "tests/support/gradcheck.h"
#include "tests/support/largest.h"
#include "tests/support/processors.h"
#include "tests/support/products.h"

namespace longspan {
namespace {

struct Case {
  at::Tensor hidden, weight, labels;
};

Case random_case(at::ScalarType dtype) {
  at::manual_seed(3);
  Case c{at::randn({23, 12}, dtype), at::randn({31, 12}, dtype), at::randint(31, {23}, at::kLong)};
  c.labels.narrow(0, 4, 5).fill_(kIgnoreIndex);
  c.hidden.requires_grad_(true);
  c.weight.requires_grad_(true);
  return c;
}

at::Tensor reference_sum(const Case& c) {
  return at::cross_entropy_loss(at::matmul(c.hidden, c.weight.t()), c.labels, {},
                                at::Reduction::Sum, kIgnoreIndex);
}

TEST(ChunkedCrossEntropy, EqualsTheWholeOneWithGradientsForAnyChunk) {
  Case c = random_case(at::kDouble);
  (reference_sum(c) * 0.5).backward();
  at::Tensor hidden_gradient = c.hidden.grad().clone(), weight_gradient = c.weight.grad().clone();
  for (int64_t chunk : {1, 7, 23, 100}) {
    c.hidden.mutable_grad().reset();
    c.weight.mutable_grad().reset();
    at::Tensor sum = chunked_cross_entropy_sum(c.hidden, c.weight, c.labels, chunk);
    (sum * 0.5).backward();
    EXPECT_NEAR(sum.item<double>(), reference_sum(c).item<double>(), 1e-10);
    EXPECT_LT(largest(c.hidden.grad() - hidden_gradient), 1e-12);
    EXPECT_LT(largest(c.weight.grad() - weight_gradient), 1e-12);
  }
}

TEST(ChunkedCrossEntropy, WeighsRowsAndSaysThePlainSumToo) {
  for (auto dtype : {at::kDouble, at::kFloat}) {
    Case c = random_case(dtype);
    const at::Tensor row_weights = at::rand({23}, at::kFloat);
    const at::Tensor by_row = at::cross_entropy_loss(at::matmul(c.hidden, c.weight.t()), c.labels,
                                                     {}, at::Reduction::None, kIgnoreIndex);
    const at::Tensor expected = (by_row * row_weights).sum();
    expected.backward();
    const at::Tensor hidden = c.hidden.grad().clone(), weight = c.weight.grad().clone();
    const double bound = dtype == at::kDouble ? 1e-12 : float32_bound(weight, 31 + 23);
    for (int64_t chunk : {7, 100}) {
      c.hidden.mutable_grad().reset();
      c.weight.mutable_grad().reset();
      const auto sums = weighted_cross_entropy_sum(c.hidden, c.weight, c.labels,
                                                   given_row_weights(row_weights), chunk);
      sums.weighted.backward();
      EXPECT_FALSE(sums.plain.requires_grad());
      EXPECT_NEAR(sums.weighted.item<double>(), expected.item<double>(), 23 * bound);
      EXPECT_NEAR(sums.plain.item<double>(), by_row.sum().item<double>(), 23 * bound);
      EXPECT_LT(largest(c.hidden.grad() - hidden), bound);
      EXPECT_LT(largest(c.weight.grad() - weight), bound);
    }
  }
}

TEST(ChunkedCrossEntropy, WeighsRowsByTheirLossWithoutAGradientOfTheWeight) {
  Case c = random_case(at::kDouble);
  const at::Tensor by_row = at::cross_entropy_loss(at::matmul(c.hidden, c.weight.t()), c.labels, {},
                                                   at::Reduction::None, kIgnoreIndex);
  const at::Tensor expected = (by_row * (3 - by_row).exp().clamp_max(5).detach()).sum();
  expected.backward();
  const at::Tensor hidden = c.hidden.grad().clone(), weight = c.weight.grad().clone();
  for (int64_t chunk : {7, 100}) {
    c.hidden.mutable_grad().reset();
    c.weight.mutable_grad().reset();
    const auto sums = weighted_cross_entropy_sum(
        c.hidden, c.weight, c.labels,
        [](int64_t, const at::Tensor& losses) { return (3 - losses).exp().clamp_max(5); }, chunk);
    sums.weighted.backward();
    EXPECT_NEAR(sums.weighted.item<double>(), expected.item<double>(), 1e-10);
    EXPECT_NEAR(sums.plain.item<double>(), by_row.sum().item<double>(), 1e-10);
    EXPECT_LT(largest(c.hidden.grad() - hidden), 1e-12);
    EXPECT_LT(largest(c.weight.grad() - weight), 1e-12);
  }
}

TEST(ChunkedCrossEntropy, MakesNoMoreProductsThanGradientsAreWanted) {
  Case c = random_case(at::kFloat);
  const auto products = [&] {
    return products_of([&] { chunked_cross_entropy_sum(c.hidden, c.weight, c.labels, 8); });
  };
  EXPECT_EQ(products(), 3 * 3);  // three chunks: logits, and the gradients of hidden and weight
  c.weight.requires_grad_(false);
  EXPECT_EQ(products(), 3 * 2);
  c.weight.requires_grad_(true);
  at::NoGradGuard no_gradients;
  EXPECT_EQ(products(), 3);
}

TEST(ChunkedCrossEntropy, HasTheGradientsOfItsDifferences) {
  Case c = random_case(at::kDouble);
  expect_gradients_as_by_differences(
      [&](const std::vector<at::Tensor>& in) {
        return chunked_cross_entropy_sum(in[0], in[1], c.labels, 7);
      },
      {c.hidden, c.weight});
}

TEST(ChunkedCrossEntropy, LeavesAFrozenHeadWithoutGradient) {
  Case c = random_case(at::kFloat);
  c.weight.requires_grad_(false);
  chunked_cross_entropy_sum(c.hidden, c.weight, c.labels).backward();
  EXPECT_TRUE(c.hidden.grad().defined());
  EXPECT_FALSE(c.weight.grad().defined());
}

TEST(ChunkedCrossEntropy, ScoresNothingWhereLabelsAreIgnored) {
  Case c = random_case(at::kFloat);
  c.labels.fill_(kIgnoreIndex);
  at::Tensor sum = chunked_cross_entropy_sum(c.hidden, c.weight, c.labels, 8);
  sum.backward();
  EXPECT_EQ(sum.item<float>(), 0);
  EXPECT_EQ(largest(c.hidden.grad()), 0);
}

TEST(ChunkedCrossEntropy, InBfloat16DiffersByRoundingOnly) {
  Case c = random_case(at::kFloat);
  Case exact{c.hidden.detach().to(at::kBFloat16).to(at::kDouble).requires_grad_(true),
             c.weight.detach().to(at::kBFloat16).to(at::kDouble).requires_grad_(true), c.labels};
  at::Tensor exact_sum = reference_sum(exact);
  exact_sum.backward();
  c.hidden = c.hidden.detach().to(at::kBFloat16).requires_grad_(true);
  c.weight = c.weight.detach().to(at::kBFloat16).requires_grad_(true);
  for (bool kernel : {false, true}) {
    std::optional<ForcedProcessor> plain;
    if (!kernel) plain.emplace("none");
    double factor = kernel ? 1.0 : 0.5;
    c.hidden.mutable_grad().reset();
    c.weight.mutable_grad().reset();
    at::Tensor sum = chunked_cross_entropy_sum(c.hidden, c.weight, c.labels, 7);
    (sum * factor).backward();
    // Logits of up to 16 lose 2^-5 of a nat at most when rounded to 8 bits, and change the
    // probabilities by that part of themselves.
    EXPECT_NEAR(sum.item<double>(), exact_sum.item<double>(), 18.0 / 32);
    EXPECT_LT(relative_error(c.hidden.grad(), exact.hidden.grad() * factor), 1.0 / 32);
    EXPECT_LT(relative_error(c.weight.grad(), exact.weight.grad() * factor), 1.0 / 32);
  }
}

TEST(ChunkedCrossEntropy, RefusesALabelThatIsNoToken) {
  for (const char* name : {"none", "avx2", "avx512", "avx512_bf16"}) {
    if (!beyond_this_processor(name).empty()) continue;
    const ForcedProcessor forced(name);
    for (at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      for (int64_t label : {-1, 31}) {
        Case c = random_case(dtype);
        c.labels[2].fill_(label);
        EXPECT_THROW(chunked_cross_entropy_sum(c.hidden, c.weight, c.labels, 8), c10::Error)
            << name << ", " << dtype << ", label " << label;
      }
    }
  }
}

TEST(ChunkedCrossEntropy, RefusesChunksOfNoTokens) {
  Case c = random_case(at::kFloat);
  EXPECT_THROW(chunked_cross_entropy_sum(c.hidden, c.weight, c.labels, 0), c10::Error);
  EXPECT_THROW(token_cross_entropy(c.hidden, c.weight, c.labels, 0), c10::Error);
}

TEST(ChunkedCrossEntropy, GivesTheSameGradientTwice) {
  Case c = random_case(at::kFloat);
  at::Tensor sum = chunked_cross_entropy_sum(c.hidden, c.weight, c.labels);
  sum.backward({}, /*retain_graph=*/true);
  at::Tensor once = c.hidden.grad().clone();
  sum.backward();
  EXPECT_TRUE(c.hidden.grad().equal(once * 2));
}

TEST(TokenCrossEntropy, SumsToTheChunkedOne) {
  Case c = random_case(at::kFloat);
  at::Tensor losses = token_cross_entropy(c.hidden, c.weight, c.labels, 5);
  EXPECT_EQ(losses.size(0), 23);
  EXPECT_EQ(largest(losses.narrow(0, 4, 5)), 0);
  const double expected = reference_sum(c).item<double>();
  const int64_t terms = c.hidden.size(0) + c.hidden.size(1) + c.weight.size(0);
  EXPECT_NEAR(losses.sum().item<double>(), expected, float32_bound(expected, terms));
}

TEST(TokenCrossEntropy, TakesLabelsThatAreNotContiguous) {
  Case c = random_case(at::kFloat);
  const at::Tensor strided = at::stack({c.labels, at::zeros_like(c.labels)}, 1).select(1, 0);
  EXPECT_TRUE(token_cross_entropy(c.hidden, c.weight, strided, 5)
                  .equal(token_cross_entropy(c.hidden, c.weight, c.labels, 5)));
}

}  // namespace
}  // namespace longspan
