#include "src/nn/embedding.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

namespace longspan {
namespace {

at::Tensor gradient_of(const at::Tensor& weight, const at::Tensor& ids, const at::Tensor& gradient,
                       int64_t padding_idx = -1) {
  at::Tensor leaf = weight.detach().clone().requires_grad_(true);
  embed_tokens(leaf, ids, padding_idx).backward(gradient);
  return leaf.grad();
}

double relative_error(const at::Tensor& value, const at::Tensor& exact) {
  const at::Tensor wanted = exact.to(at::kDouble);
  return ((value.to(at::kDouble) - wanted).norm() / wanted.norm()).item<double>();
}

TEST(Embedding, TakesRowsByIdInAnyShape) {
  const at::Tensor weight = at::randn({5, 3});
  const at::Tensor ids = at::tensor({4, 0, 4, 2}, at::kLong).view({2, 2});
  EXPECT_TRUE(at::equal(embed_tokens(weight, ids), at::embedding(weight, ids)));
}

TEST(Embedding, ATokenOfManyPlacesHasTheirWholeSumInBfloat16) {
  // In bfloat16 256 + 1 is 256 again: summed in the dtype, 4,000 ones would stay there.
  const at::Tensor ids = at::full({1, 4000}, 1, at::kLong);
  const at::Tensor ones = at::ones({1, 4000, 2}, at::kBFloat16);
  const at::Tensor sum = gradient_of(at::randn({3, 2}).to(at::kBFloat16), ids, ones);
  EXPECT_EQ(sum.scalar_type(), at::kBFloat16);
  EXPECT_EQ(sum[1][0].item<double>(), 4000.0);
  EXPECT_EQ(sum[0][0].item<double>(), 0.0);
  EXPECT_EQ(sum[2][1].item<double>(), 0.0);
}

TEST(Embedding, RoundsTheSumOfEachTokenOnce) {
  at::manual_seed(1);
  const at::Tensor ids = at::randint(0, 40, {3, 700}, at::kLong);
  for (auto [dtype, unit] : {std::pair{at::kBFloat16, 0x1p-9},
                             {at::kHalf, 0x1p-12},
                             {at::kFloat, 0x1p-22},
                             {at::kDouble, 0x1p-50}}) {
    const at::Tensor weight = at::randn({50, 33}).to(dtype);
    const at::Tensor gradient = (at::randn({3, 700, 33}) + 1).to(dtype);
    at::Tensor leaf = weight.to(at::kDouble).requires_grad_(true);
    at::embedding(leaf, ids).backward(gradient.to(at::kDouble));
    EXPECT_LT(relative_error(gradient_of(weight, ids, gradient), leaf.grad()), unit) << dtype;
  }
}

TEST(Embedding, ThePaddingTokenGetsNone) {
  const at::Tensor ids = at::tensor({2, 1, 2}, at::kLong), ones = at::ones({3, 4});
  const at::Tensor sum = gradient_of(at::randn({3, 4}), ids, ones, /*padding_idx=*/2);
  EXPECT_EQ(sum[2].abs().sum().item<double>(), 0.0);
  EXPECT_EQ(sum[1].sum().item<double>(), 4.0);
}

TEST(Embedding, IsTheSameForAnyNumberOfThreads) {
  const at::Tensor ids = at::randint(0, 7, {1, 900}, at::kLong);
  const at::Tensor weight = at::randn({7, 65}), gradient = at::randn({1, 900, 65});
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor alone = gradient_of(weight, ids, gradient);
  at::set_num_threads(2);
  EXPECT_TRUE(at::equal(gradient_of(weight, ids, gradient), alone));
  at::set_num_threads(threads);
}

}  // namespace
}  // namespace longspan
