#include "src/attention/kernels/interval_attention.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros_like.h>

#include "tests/src/attention/kernels/attention_cases.h"

namespace longspan {
namespace {

TEST_F(IntervalAttention, SdpaPathIsExactInDouble) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(::testing::PrintToString(c));
    const Operands operands = operands_of(c).to(at::kDouble);
    const Results reference = run(operands, plain_attention);
    const Results result = run(operands, attention);
    for (int i = 0; i < 4; ++i) {
      SCOPED_TRACE(kResultNames[i]);
      const at::Tensor difference = result.tensors[i] - reference.tensors[i];
      EXPECT_LE(difference.abs().max().item<double>(), 1e-11);
    }
  }
}

TEST_F(IntervalAttention, GivesTheSameBitsTwice) {
  at::set_num_threads(3);
  const Operands operands = operands_of({"", 1, 9, 3, 1333, 1333, 64, shifted_groups(512, 4)});
  const Results first = run(operands, attention);
  const Results second = run(operands, attention);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(at::equal(first.tensors[i], second.tensors[i]));
}

TEST_F(IntervalAttention, SplitsOneHeadOverThreadsWithoutChangingTheGradients) {
  const Operands operands = operands_of({"", 1, 2, 1, 1700, 1700, 64, full});
  const Results reference = run(operands.to(at::kDouble), plain_attention);
  for (const int count : {1, 4}) {
    at::set_num_threads(count);
    const Results result = run(operands, attention);
    for (int i = 0; i < 4; ++i) {
      EXPECT_LE(relative_error(result.tensors[i], reference.tensors[i]), 0.006)
          << kResultNames[i] << " with " << count << " threads";
    }
  }
}

/// The operands with another token at `position`.
Operands with_token_changed(const Operands& operands, int64_t position) {
  Operands result = operands;
  for (at::Tensor* x : {&result.q, &result.k, &result.v}) *x = x->clone();
  result.q.select(2, position).fill_(3);
  result.k.select(2, position).fill_(-2);
  result.v.select(2, position).fill_(5);
  return result;
}

TEST_F(IntervalAttention, LeaksNothingFromTheFuture) {
  for (const Interval& interval : {Interval(full), shifted_groups(256, 1), sliding_window(90)}) {
    const Operands operands = operands_of({"", 1, 3, 1, 700, 700, 64, interval});
    const at::Tensor out = run(operands, attention).tensors[0];
    for (const int64_t t : {1, 63, 64, 383, 384, 511, 600, 699}) {
      const at::Tensor changed = run(with_token_changed(operands, t), attention).tensors[0];
      EXPECT_TRUE(at::equal(changed.slice(2, 0, t), out.slice(2, 0, t))) << "token " << t;
      EXPECT_FALSE(at::equal(changed.select(2, t), out.select(2, t))) << "token " << t;
    }
  }
}

TEST_F(IntervalAttention, SendsNoGradientToTheFuture) {
  Operands operands = operands_of({"", 1, 3, 1, 700, 700, 64, shifted_groups(256, 1)});
  operands.grad_out = operands.grad_out.clone();
  operands.grad_out.slice(2, 450).zero_();
  const Results results = run(operands, attention);
  for (int i = 1; i < 4; ++i) {
    EXPECT_EQ(results.tensors[i].slice(2, 450).abs().max().item<float>(), 0) << kResultNames[i];
    EXPECT_GT(results.tensors[i].slice(2, 0, 450).abs().max().item<float>(), 0);
  }
}

TEST_F(IntervalAttention, KeepsDocumentsApart) {
  const Operands operands = operands_of({"", 1, 2, 1, 600, 600, 128, documents({130, 391})});
  const Results base = run(operands, attention);
  const Results changed = run(with_token_changed(operands, 129), attention);
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(at::equal(changed.tensors[i].slice(2, 130), base.tensors[i].slice(2, 130)));
    EXPECT_FALSE(at::equal(changed.tensors[i].slice(2, 0, 130), base.tensors[i].slice(2, 0, 130)));
  }
}

TEST_F(IntervalAttention, TakesAnyStridesAndExpandedGradients) {
  const Operands operands = operands_of({"", 2, 4, 2, 130, 130, 64, full});
  const Results base = run(operands, attention);
  // The last dimension strided, heads outermost, keys from a larger buffer.
  const Operands strided{
      operands.q.transpose(2, 3).contiguous().transpose(2, 3),
      at::zeros({2, 2, 200, 64}, at::kBFloat16).narrow(2, 0, 130).copy_(operands.k),
      operands.v.contiguous(), operands.grad_out.contiguous(), operands.visible};
  const Results same = run(strided, attention);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(at::equal(base.tensors[i], same.tensors[i]));

  Operands expanded = operands;
  expanded.grad_out = at::zeros({1}, at::kBFloat16).fill_(0.5).expand(operands.q.sizes());
  Operands dense = operands;
  dense.grad_out = expanded.grad_out.contiguous();
  EXPECT_TRUE(at::equal(run(expanded, attention).tensors[2], run(dense, attention).tensors[2]));
}

TEST_F(IntervalAttention, RefusesIntervalsOutsideTheKeys) {
  Operands operands = operands_of({"", 1, 1, 1, 8, 8, 64, full});
  const auto attend = [&] {
    return interval_attention(operands.q, operands.k, operands.v, operands.visible);
  };
  EXPECT_NO_THROW(attend());
  operands.visible.begin.select(2, 3).fill_(4);  // past its own position
  EXPECT_THROW(attend(), c10::Error);
  operands.visible.begin.select(2, 3).fill_(3);  // decreases at the next query
  EXPECT_THROW(attend(), c10::Error);
  operands.visible.begin.slice(2, 3).fill_(-1);
  EXPECT_THROW(attend(), c10::Error);
  operands.visible.begin = operands.visible.begin.to(at::kLong).zero_();
  EXPECT_THROW(attend(), c10::Error);
}

TEST_F(IntervalAttention, RefusesSinksThatMeetTheInterval) {
  Operands operands = operands_of({"", 1, 1, 1, 8, 8, 64, sliding_window(2), 3});
  const auto attend = [&] { return attention(operands.q, operands.k, operands.v, operands); };
  EXPECT_NO_THROW(attend());
  const at::Tensor kept = operands.visible.sinks.clone();
  operands.visible.sinks[1].select(2, 6).fill_(5);  // its interval begins at 4
  EXPECT_THROW(attend(), c10::Error);
  operands.visible.sinks.copy_(kept)[1].select(2, 7).fill_(0);  // decreases
  EXPECT_THROW(attend(), c10::Error);
  operands.visible.sinks.copy_(kept)[0].select(2, 0).fill_(-1);
  EXPECT_THROW(attend(), c10::Error);
  operands.visible.sinks = kept[0];
  EXPECT_THROW(attend(), c10::Error);
}

TEST_F(IntervalAttention, KeepsItsResultForTheBackward) {
  const Operands operands = operands_of({"", 1, 4, 2, 300, 300, 64, sliding_window(90), 4});
  AttentionResult kept;
  {
    const at::NoGradGuard no_grad;
    interval_attention(operands.q, operands.k, operands.v, operands.visible, &kept);
  }
  ASSERT_TRUE(kept.out.defined());
  const Results again = run(operands, attention);
  const Results taken =
      run(operands, [&](const auto& q, const auto& k, const auto& v, const auto&) {
        return interval_attention(q, k, v, operands.visible, &kept);
      });
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(at::equal(again.tensors[i], taken.tensors[i]));
}

}  // namespace
}  // namespace longspan
