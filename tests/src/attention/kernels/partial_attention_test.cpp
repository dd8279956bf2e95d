// Attention over intervals with an end of their own, its log-sum-exp and their gradients, by the
// kernel of each processor and without one.

#include <ATen/ops/equal.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include "tests/src/attention/kernels/drawn_intervals.h"
#include "tests/support/devices.h"
#include "tests/support/gradcheck.h"

namespace longspan {
namespace {

class PartialAttentionOn : public OnDevice {
 protected:
  /// Output, log-sum-exp, dQ, dK, dV.
  struct Results {
    std::vector<at::Tensor> tensors;
  };
  static constexpr const char* kNames[] = {"out", "log_sum_exp", "dQ", "dK", "dV"};

  template <class Attend>
  static Results run(const Drawn& drawn, at::ScalarType dtype, const Attend& attend) {
    std::vector<at::Tensor> in;
    for (const at::Tensor& x : {drawn.q, drawn.k, drawn.v}) {
      in.push_back(x.to(device(), dtype).detach().requires_grad_(true));
    }
    const AttentionResult result = attend(in[0], in[1], in[2]);
    // The log-sum-exp of a row that sees nothing is no number to differentiate.
    const at::Tensor counted = result.log_sum_exp.detach().isfinite();
    const at::Tensor grad_lse =
        drawn.grad_lse.to(device(), result.log_sum_exp.scalar_type()).mul(counted);
    torch::autograd::backward({result.out, result.log_sum_exp},
                              {drawn.grad_out.to(device(), dtype), grad_lse});
    return {{result.out.detach(), result.log_sum_exp.detach(), in[0].grad(), in[1].grad(),
             in[2].grad()}};
  }

  static VisibleKeys on_device(const VisibleKeys& visible) {
    const auto moved = [](const at::Tensor& x) { return x.defined() ? x.to(device()) : x; };
    return {moved(visible.begin), moved(visible.end), moved(visible.sinks)};
  }

  static void expect_near(const Results& actual, const Results& exact, at::ScalarType dtype) {
    // In bfloat16 a gradient goes through three roundings, of the weights, of the output and its
    // own, of 2^-8 at most each; the few terms of a single query do not average them.
    const double bound = dtype == at::kBFloat16 ? 3 * 0x1p-8 : 1e-6;
    for (size_t i = 0; i < exact.tensors.size(); ++i) {
      const at::Tensor expected = exact.tensors[i].cpu();
      const at::Tensor found = actual.tensors[i].to(at::kCPU, at::kDouble);
      const at::Tensor finite = expected.isfinite();
      ASSERT_TRUE(at::equal(finite, found.isfinite())) << kNames[i];
      const at::Tensor difference = (found - expected).masked_fill(finite.logical_not(), 0);
      const double size = expected.masked_fill(finite.logical_not(), 0).norm().item<double>();
      EXPECT_LE(difference.norm().item<double>(), bound * std::max(size, 1e-2))
          << kNames[i] << " in " << dtype;
    }
  }
};

TEST_P(PartialAttentionOn, IsWithinRoundingOfItsDefinition) {
  const OneThread one_thread;
  at::manual_seed(3);
  std::mt19937 generator(3);
  for (int round = 0; round < 60; ++round) {
    const int64_t head_dim = std::vector<int64_t>{16, 64, 80, 128}[generator() % 4];
    const Drawn drawn = draw(generator, round % 4 == 0 ? 900 : 70, head_dim);
    SCOPED_TRACE(drawn.description);
    const at::Tensor mask = mask_of(drawn.visible, drawn.k.size(2)).to(device());
    const Results exact = run(drawn, at::kDouble, [&](const auto& q, const auto& k, const auto& v) {
      return defined_attention(q, k, v, mask);
    });
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      const Results found = run(drawn, dtype, [&](const auto& q, const auto& k, const auto& v) {
        return partial_attention(q, k, v, on_device(drawn.visible));
      });
      expect_near(found, exact, dtype);
    }
  }
}

TEST_P(PartialAttentionOn, EndsAtTheQueryUnlessItIsSaid) {
  const OneThread one_thread;
  at::manual_seed(4);
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor q = at::randn({1, 4, 130, 64}).to(device(), dtype);
    const at::Tensor k = at::randn({1, 2, 201, 64}).to(device(), dtype);
    const at::Tensor begin = at::zeros({1, 4, 130}, at::kInt).to(device());
    const at::Tensor end = (at::arange(72, 202, at::kInt)).expand({1, 4, -1}).contiguous();
    const AttentionResult implied = partial_attention(q, k, k, {begin});
    const AttentionResult said = partial_attention(q, k, k, {begin, end.to(device())});
    EXPECT_TRUE(at::equal(implied.out, said.out));
    EXPECT_TRUE(at::equal(implied.log_sum_exp, said.log_sum_exp));
    const double bound = dtype == at::kBFloat16 ? 0.006 : 1e-6;
    EXPECT_LE(relative_error(interval_attention(q, k, k, {begin}), said.out), bound);
    EXPECT_TRUE(at::equal(interval_attention(q, k, k, {begin, end.to(device())}), said.out));
  }
}

TEST_P(PartialAttentionOn, GivesNothingWhereNothingIsSeen) {
  const OneThread one_thread;
  for (const int64_t keys : {0, 5}) {
    const at::Tensor q = at::randn({1, 2, 3, 16}).to(device()).requires_grad_(true);
    const at::Tensor k = at::randn({1, 1, keys, 16}).to(device()).requires_grad_(true);
    const at::Tensor none = at::zeros({1, 2, 3}, at::kInt).to(device());
    const AttentionResult result = partial_attention(q, k, k, {none, none});
    EXPECT_EQ(result.out.abs().max().item<float>(), 0);
    EXPECT_TRUE(result.log_sum_exp.eq(kNothingSeen).all().item<bool>());
    result.out.sum().backward();
    EXPECT_EQ(q.grad().abs().max().item<float>(), 0);
    EXPECT_EQ(k.grad().abs().sum().item<float>(), 0);
  }
}

TEST_P(PartialAttentionOn, HasTheGradientsOfItsDifferences) {
  at::manual_seed(5);
  std::mt19937 generator(5);
  for (int round = 0; round < 8; ++round) {
    const Drawn drawn = draw(generator, 7, 4);
    SCOPED_TRACE(drawn.description);
    expect_gradients_as_by_differences(
        [&](const std::vector<at::Tensor>& in) {
          const AttentionResult result =
              partial_attention(in[0], in[1], in[2], on_device(drawn.visible));
          const at::Tensor seen = result.log_sum_exp.isfinite().detach();
          return at::cat({result.out.flatten(), result.log_sum_exp.masked_select(seen)});
        },
        {drawn.q.to(device()), drawn.k.to(device()), drawn.v.to(device())});
  }
}

TEST_P(PartialAttentionOn, KeepsNaN) {
  const OneThread one_thread;
  at::Tensor q = at::randn({1, 1, 3, 16}).to(device());
  q.select(2, 1).fill_(NAN);
  const at::Tensor begin = at::zeros({1, 1, 3}, at::kInt).to(device());
  const AttentionResult result = partial_attention(q, q.nan_to_num(), q.nan_to_num(), {begin});
  EXPECT_TRUE(result.out.select(2, 1).isnan().all().item<bool>());
  EXPECT_TRUE(result.out.select(2, 2).isfinite().all().item<bool>());
}

TEST_P(PartialAttentionOn, RefusesEndsOutsideTheKeys) {
  const at::Tensor x = at::zeros({1, 1, 4, 16}).to(device());
  const at::Tensor begin = at::zeros({1, 1, 4}, at::kInt);
  const auto attend = [&](std::vector<int32_t> end) {
    partial_attention(x, x, x, {begin, at::tensor(end, at::kInt).view({1, 1, 4})});
  };
  EXPECT_NO_THROW(attend({0, 0, 3, 4}));
  EXPECT_THROW(attend({0, 0, 3, 5}), c10::Error);
  EXPECT_THROW(attend({-1, 0, 3, 4}), c10::Error);
  EXPECT_THROW(attend({0, 2, 1, 4}), c10::Error);
  EXPECT_THROW(partial_attention(x, x, x, {begin, begin.to(at::kLong)}), c10::Error);
  const at::Tensor longer = at::zeros({1, 1, 5, 16}).to(device());
  EXPECT_THROW(partial_attention(longer, x, x, {at::zeros({1, 1, 5}, at::kInt)}), c10::Error);
}

INSTANTIATE_ON_DEVICES(PartialAttentionOn);

}  // namespace
}  // namespace longspan
