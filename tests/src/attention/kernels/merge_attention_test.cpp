#include "src/attention/kernels/merge_attention.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include "tests/src/attention/kernels/drawn_intervals.h"
#include "tests/support/devices.h"
#include "tests/support/gradcheck.h"

namespace longspan {
namespace {

class MergeAttentionOn : public OnDevice {};

/// Of queries at `first`, `first` + 1, ..., those of the keys before each and itself that lie in
/// [begin, end), counted from begin.
VisibleKeys causal_part(int64_t heads, int64_t queries, int64_t first, int64_t begin, int64_t end) {
  const at::Tensor position = at::arange(first, first + queries, at::kInt);
  const at::Tensor last = (position + 1).clamp_max(end).sub(begin).clamp_min(0);
  const auto of_each_head = [&](const at::Tensor& x) {
    return x.expand({1, heads, queries}).contiguous();
  };
  return {of_each_head(at::zeros({queries}, at::kInt)), of_each_head(last)};
}

/// A ring's way: the keys in parts, each attended to alone, joined in the order given.
AttentionResult in_parts(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                         const std::vector<std::pair<int64_t, int64_t>>& parts) {
  AttentionResult all;
  for (const auto& [begin, end] : parts) {
    VisibleKeys visible = causal_part(q.size(1), q.size(2), k.size(2) - q.size(2), begin, end);
    const AttentionResult part =
        partial_attention(q, k.slice(2, begin, end), v.slice(2, begin, end),
                          {visible.begin.to(q.device()), visible.end.to(q.device())});
    all = all.out.defined() ? merge(all, part) : part;
  }
  return all;
}

TEST_P(MergeAttentionOn, OfPartsIsTheWholeWithItsGradients) {
  const OneThread one_thread;
  at::manual_seed(7);
  const std::vector<std::pair<int64_t, int64_t>> orders[] = {
      {{0, 131}, {131, 300}}, {{200, 300}, {0, 7}, {64, 200}, {7, 64}}, {{0, 300}, {300, 300}}};
  const at::Tensor q = at::randn({1, 4, 260, 64}), k = at::randn({1, 2, 300, 64});
  const at::Tensor v = at::randn({1, 2, 300, 64}), gradient = at::randn({1, 4, 260, 65});
  const auto joined = [](const AttentionResult& result) {
    const at::Tensor lse = result.log_sum_exp.unsqueeze(-1).to(result.out.scalar_type());
    return at::cat({result.out, lse}, -1);
  };
  std::vector<at::Tensor> in;
  for (const at::Tensor& x : {q, k, v}) in.push_back(x.to(at::kBFloat16).to(device()));
  const VisibleKeys visible = causal_part(4, 260, 40, 0, 300);
  const at::Tensor mask = mask_of(visible, 300).to(device());
  const ValueAndGradients exact = value_and_gradients(
      [&](const std::vector<at::Tensor>& x) {
        return joined(defined_attention(x[0], x[1], x[2], mask));
      },
      in, gradient.to(device()), at::kDouble);
  for (const auto& order : orders) {
    for (auto [dtype, bound] : {std::pair{at::kBFloat16, 0.01}, {at::kFloat, 2e-6}}) {
      const ValueAndGradients found = value_and_gradients(
          [&](const std::vector<at::Tensor>& x) {
            return joined(in_parts(x[0], x[1], x[2], order));
          },
          in, gradient.to(device()), dtype);
      EXPECT_LE(relative_error(found.value, exact.value), bound) << dtype;
      for (int i = 0; i < 3; ++i) {
        EXPECT_LE(relative_error(found.gradients[i], exact.gradients[i]), bound) << i << dtype;
      }
    }
  }
}

AttentionResult draw_result(at::ScalarType dtype, at::Device device) {
  return {at::randn({1, 2, 5, 16}).to(device, dtype), at::randn({1, 2, 5}).to(device)};
}

TEST_P(MergeAttentionOn, WithNothingChangesNothing) {
  const AttentionResult nothing{at::zeros({1, 2, 5, 16}).to(device()),
                                at::full({1, 2, 5}, kNothingSeen).to(device())};
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const AttentionResult none{nothing.out.to(dtype), nothing.log_sum_exp};
    const AttentionResult some = draw_result(dtype, device());
    for (const AttentionResult& merged : {merge(some, none), merge(none, some)}) {
      EXPECT_TRUE(at::equal(merged.out, some.out));
      EXPECT_TRUE(at::equal(merged.log_sum_exp, some.log_sum_exp));
    }
  }
  const AttentionResult twice = merge(nothing, nothing);
  EXPECT_TRUE(at::equal(twice.out, nothing.out));
  EXPECT_TRUE(at::equal(twice.log_sum_exp, nothing.log_sum_exp));
}

TEST_P(MergeAttentionOn, SendsNoGradientToNothing) {
  const AttentionResult some = draw_result(at::kFloat, device());
  for (const bool other_too : {false, true}) {
    const at::Tensor out = at::zeros({1, 2, 5, 16}).to(device()).requires_grad_(true);
    const at::Tensor lse = at::full({1, 2, 5}, kNothingSeen).to(device()).requires_grad_(true);
    const AttentionResult nothing{out, lse};
    const AttentionResult merged = merge(nothing, other_too ? nothing : some);
    torch::autograd::backward({merged.out, merged.log_sum_exp},
                              {at::ones_like(merged.out), at::ones_like(merged.log_sum_exp)});
    EXPECT_EQ(out.grad().abs().max().item<float>(), 0);
    EXPECT_EQ(lse.grad().abs().max().item<float>(), 0);
  }
}

TEST_P(MergeAttentionOn, HasTheGradientsOfItsDifferences) {
  at::manual_seed(8);
  const auto merged_of = [](const std::vector<at::Tensor>& in) {
    return merge({in[0], in[1]}, {in[2], in[3]});
  };
  const at::Tensor out = at::randn({1, 2, 3, 4}).to(device()),
                   lse = at::randn({1, 2, 3}).to(device());
  const at::Tensor out_b = at::randn({1, 2, 3, 4}).to(device());
  const std::vector<at::Tensor> in{out, lse, out_b, (lse * 0.3 + 0.2)};
  expect_gradients_as_by_differences(
      [&](const std::vector<at::Tensor>& x) {
        const AttentionResult merged = merged_of(x);
        return at::cat({merged.out.flatten(), merged.log_sum_exp.flatten()});
      },
      in);
  // Each alone: the other has no gradient.
  expect_gradients_as_by_differences(
      [&](const std::vector<at::Tensor>& x) { return merged_of(x).out; }, in);
}

TEST_P(MergeAttentionOn, RefusesWhatDoesNotGoTogether) {
  const AttentionResult a = draw_result(at::kFloat, device());
  const AttentionResult shorter{a.out.narrow(2, 0, 4), a.log_sum_exp.narrow(2, 0, 4)};
  EXPECT_THROW(merge(a, shorter), c10::Error);
}

INSTANTIATE_ON_DEVICES(MergeAttentionOn);

}  // namespace
}  // namespace longspan
