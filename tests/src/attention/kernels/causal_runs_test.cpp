#include "src/attention/kernels/causal_runs.h"

#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "src/attention/kernels/cuda_flash.h"
#include "src/attention/kernels/cudnn_attention.h"
#include "src/attention/kernels/packed_runs.h"
#include "tests/src/attention/kernels/attention_cases.h"

namespace longspan {
namespace {

/// begin [1, heads, queries] of the same interval in all heads.
at::Tensor begins_of(const std::vector<int32_t>& of_queries, int64_t heads = 2) {
  const at::Tensor begin = at::tensor(of_queries, at::kInt);
  return begin.view({1, 1, -1}).expand({1, heads, -1}).contiguous();
}

TEST(CausalWindow, IsAllKeysWhereAllAreSeen) {
  EXPECT_EQ(causal_window(begins_of({0, 0, 0, 0}), 4), 4);
  EXPECT_EQ(causal_window(begins_of({0, 0}), 9), 9);  // behind a cache
  EXPECT_EQ(causal_window(begins_of({0}), 9), 9);     // a token decoded
}

TEST(CausalWindow, IsTheWidthOfABand) {
  EXPECT_EQ(causal_window(begins_of({0, 0, 0, 1, 2}), 5), 3);
  EXPECT_EQ(causal_window(begins_of({4, 5}), 8), 3);
  EXPECT_EQ(causal_window(begins_of({5}), 9), 4);
}

TEST(CausalWindow, IsNothingOfOtherIntervals) {
  EXPECT_FALSE(causal_window(begins_of({0, 1, 1}), 3));     // a document ends
  EXPECT_FALSE(causal_window(begins_of({0, 0, 0, 2}), 4));  // 2 keys, but 3 of the query before
  at::Tensor heads_differ = begins_of({0, 0, 0, 1});
  heads_differ[0][1][3] = 0;
  EXPECT_FALSE(causal_window(heads_differ, 4));
  EXPECT_FALSE(causal_window(at::zeros({1, 2, 0}, at::kInt), 4));
}

TEST(AlikeHeads, AreCutIntoRunsOfOneLength) {
  // Groups of 4 over 10 tokens, in the second head shifted by half.
  const at::Tensor begin = at::tensor({0, 0, 0, 0, 4, 4, 4, 4, 8, 8,  //
                                       0, 0, 2, 2, 2, 2, 6, 6, 6, 6},
                                      at::kInt)
                               .view({1, 2, 10});
  const std::vector<AlikeHeads> all = alike_heads(begin);
  ASSERT_EQ(all.size(), 2u);
  ASSERT_EQ(all[0].runs.size(), 2u);
  EXPECT_EQ(all[0].runs[0].length, 4);
  EXPECT_EQ(all[0].runs[0].count, 2);
  EXPECT_EQ(all[0].runs[1].begin, 8);
  ASSERT_EQ(all[1].runs.size(), 2u);
  EXPECT_EQ(all[1].runs[0].length, 2);
  EXPECT_EQ(all[1].runs[1].count, 2);
  EXPECT_EQ(all[1].heads.begin, 1);
  EXPECT_TRUE(alike_heads(begins_of({0, 0, 1})).empty());
}

TEST(CausalShape, IsThatOfTheIntervalsAskedFor) {
  const at::Tensor full = begins_of({0, 0, 0}), documents = begins_of({0, 0, 2});
  for (int i = 0; i < 2; ++i) {  // the second time the last answer is another's
    EXPECT_EQ(causal_shape(full, 3).window, 3);
    EXPECT_EQ(causal_shape(full, 3).heads.front().runs.size(), 1u);
    EXPECT_EQ(causal_shape(full, 5).window, 5);
    EXPECT_TRUE(causal_shape(full, 5).heads.empty());  // behind a cache
    EXPECT_FALSE(causal_shape(documents, 3).window);
    EXPECT_EQ(causal_shape(documents, 3).heads.front().runs.size(), 2u);
  }
  at::Tensor changed = begins_of({0, 0, 0});
  EXPECT_TRUE(causal_shape(changed, 3).window);
  changed[0][0][2] = 1;
  EXPECT_FALSE(causal_shape(changed, 3).window);
  EXPECT_FALSE(causal_shape(changed.clone(), 3).window);  // another tensor of the same numbers
}

/// Plain causal attention of each packed sequence by itself.
at::Tensor attend_packed(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                         const at::Tensor& begins) {
  at::Tensor out = at::zeros(q.sizes(), q.options());
  const auto* begin = begins.const_data_ptr<int32_t>();
  for (int64_t i = 0; i + 1 < begins.numel(); ++i) {
    const auto part = [&](const at::Tensor& x) {
      return x.slice(0, begin[i], begin[i + 1]).transpose(0, 1).unsqueeze(0);
    };
    part(out).copy_(at::scaled_dot_product_attention(part(q), part(k), part(v), {},
                                                     /*dropout_p=*/0.0, /*is_causal=*/true));
  }
  return out;
}

TEST(PackedRuns, AttendAsTheIntervalsThatTheyAreMadeOf) {
  at::manual_seed(7);
  for (const Case& c : {Case{"shifted", 1, 9, 3, 777, 777, 64, shifted_groups(256, 4)},
                        Case{"documents", 2, 4, 2, 401, 401, 32, documents({1, 7, 129, 400})}}) {
    SCOPED_TRACE(c.name);
    const Operands o = operands_of(c).to(at::kDouble);
    const PackedRuns runs = pack_runs(alike_heads(o.visible.begin));
    EXPECT_EQ(runs.begins[-1].item<int>(), c.batch * c.heads * c.queries);
    const at::Tensor out = attend_packed(pack_heads(o.q, c.heads), pack_heads(o.k, c.heads),
                                         pack_heads(o.v, c.heads), runs.begins);
    EXPECT_LE(relative_error(unpack_heads(out, o.q), plain_attention(o.q, o.k, o.v, o)), 1e-12);
  }
}

TEST(PackedRuns, SumWhatQueryHeadsShare) {
  const at::Tensor k = at::randn({2, 3, 5, 4}, at::kDouble);
  const at::Tensor packed = pack_heads(k, 6);
  EXPECT_EQ(packed.sizes(), (std::vector<int64_t>{2 * 6 * 5, 1, 4}));
  EXPECT_LE(relative_error(unpack_heads(packed, k), 2 * k), 1e-15);
}

TEST(PackedRuns, KnowTheLongestAndHowManyTheyAre) {
  const std::vector<AlikeHeads> one = alike_heads(begins_of({0, 0, 2, 2, 2, 5}, 1));
  EXPECT_EQ(pack_runs(one).longest, 3);
  EXPECT_EQ(pack_runs(one).begins.numel(), 4);
  EXPECT_EQ(packed_sequences(one), 3);
  // Two runs of 2 tokens and one of 1, in each of 4 heads.
  const std::vector<AlikeHeads> alike = alike_heads(begins_of({0, 0, 2, 2, 4}, 4));
  EXPECT_EQ(packed_sequences(alike), 12);
  EXPECT_EQ(pack_runs(alike).begins.numel(), 13);
}

TEST(CudaFlash, TakesHeadsInPartsThatFillAGpu) {
  EXPECT_EQ(cuda_backward_heads(32, 32, 8192), 32);
  EXPECT_EQ(cuda_backward_heads(32, 32, 98304), 16);
  EXPECT_EQ(cuda_backward_heads(32, 8, 350208), 4);  // those of one key/value head
  EXPECT_EQ(cuda_backward_heads(9, 3, 1 << 24), 9);  // 3 do not halve
}

TEST(CudnnAttention, TheLogNamesTheKernelThatTookLess) {
  const at::Tensor q = at::zeros({1, 32, 1, 128}), k = at::zeros({1, 8, 1, 128});
  EXPECT_EQ(
      describe_attention_choice(q, k, 1.0, {0.01, 0.025}, {0.005, 0.0125}),
      "attention of 32 heads of 128 on 8 key/value heads: cuDNN's kernel, 200 and 200 TFLOP/s "
      "forward and backward, for FlashAttention-2's 100 and 100");
  EXPECT_EQ(describe_attention_choice(q, k, 1.0, {0.01, 0.025}, {0.005, 0.05}),
            "attention of 32 heads of 128 on 8 key/value heads: FlashAttention-2's kernel, 100 and "
            "100 TFLOP/s forward and backward, for cuDNN's 200 and 50");
}

TEST(CudnnAttention, IsLeftToOthersWhereItRefuses) {
  // As it does everything on the CPU.
  const at::Tensor q = at::zeros({1, 2, 4, 8}, at::kBFloat16);
  EXPECT_FALSE(try_cudnn_forward(q, q, q));
  const AttentionResult made{q, at::zeros({1, 2, 4})};
  EXPECT_FALSE(try_cudnn_backward(q, q, q, q, made));
}

}  // namespace
}  // namespace longspan
