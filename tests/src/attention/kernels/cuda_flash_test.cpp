// Attention on CUDA where attention_gradients_test.cpp does not reach: cuDNN's kernel, and
// sequences so long that a wrong index of 32 bits shows.

#include "src/attention/kernels/cuda_flash.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "src/attention/kernels/cudnn_attention.h"
#include "tests/support/devices.h"
#include "tests/support/gradients.h"
#include "tests/support/masked_attention.h"

namespace longspan {
namespace {

constexpr double kBf16Bound = 0.006, kLongBf16Bound = 0.01;

/// While one lives, attention on CUDA is FlashAttention-2's.
class WithoutCudnn {
 public:
  WithoutCudnn() { at::globalContext().setSDPUseCuDNN(false); }
  ~WithoutCudnn() { at::globalContext().setSDPUseCuDNN(true); }
  WithoutCudnn(const WithoutCudnn&) = delete;
  WithoutCudnn& operator=(const WithoutCudnn&) = delete;
};

struct CudaHeads {
  at::Tensor q, k, v, grad_out;

  AttentionResult forward(bool by_cudnn) const {
    if (by_cudnn) return cudnn_attention_forward(q, k, v);
    const WithoutCudnn flash2;
    return cuda_flash_forward(q, k, v, k.size(2));
  }
  AttentionGradients backward(bool by_cudnn, const AttentionResult& made) const {
    if (by_cudnn) return cudnn_attention_backward(grad_out, q, k, v, made);
    const WithoutCudnn flash2;
    return cuda_flash_backward(grad_out, q, k, v, k.size(2), made);
  }
};

class CudaAttention : public ::testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = why_not_on_cuda(); !reason.empty()) GTEST_SKIP() << reason;
    at::manual_seed(3);
  }

  static bool has_cudnn() { return compute_capability() >= 90; }

  /// In the layout of the model.
  static CudaHeads random_heads(int64_t heads, int64_t key_heads, int64_t tokens) {
    constexpr int64_t kHeadDim = 128;
    const auto random = [&](int64_t count) {
      const auto options = at::TensorOptions(at::kCUDA).dtype(at::kBFloat16);
      return at::randn({1, tokens, count, kHeadDim}, options).transpose(1, 2);
    };
    return {random(heads), random(key_heads), random(key_heads), random(heads)};
  }
};

TEST_F(CudaAttention, OfEitherKernelIsWithinRoundingOfItsDefinition) {
  constexpr int64_t kTokens = 2048;
  const auto flags = at::TensorOptions(at::kCUDA).dtype(at::kBool);
  const at::Tensor visible = at::ones({kTokens, kTokens}, flags).tril();
  for (const int64_t key_heads : {4, 2}) {
    const CudaHeads heads = random_heads(4, key_heads, kTokens);
    const auto exact = value_and_gradients(
        [&](const auto& x) { return masked_attention(x[0], x[1], x[2], visible); },
        {heads.q, heads.k, heads.v}, heads.grad_out, at::kDouble);
    const at::Tensor keys = heads.k.to(at::kDouble).repeat_interleave(4 / key_heads, 1);
    const at::Tensor scores =
        at::matmul(heads.q.to(at::kDouble), keys.transpose(2, 3)) / std::sqrt(128.0);
    const at::Tensor log_sum_exp = at::logsumexp(
        scores.masked_fill(visible.logical_not(), -std::numeric_limits<double>::infinity()), -1);
    for (const bool forward_by_cudnn : {false, true}) {
      for (const bool backward_by_cudnn : {false, true}) {
        if ((forward_by_cudnn || backward_by_cudnn) && !has_cudnn()) continue;
        SCOPED_TRACE(::testing::Message()
                     << key_heads << " key/value heads, by cuDNN forward " << forward_by_cudnn
                     << ", backward " << backward_by_cudnn);
        const AttentionResult made = heads.forward(forward_by_cudnn);
        EXPECT_LE(relative_error(made.out, exact.value), kBf16Bound);
        EXPECT_LE(relative_error(made.log_sum_exp, log_sum_exp), 1e-4);
        const AttentionGradients grads = heads.backward(backward_by_cudnn, made);
        EXPECT_LE(relative_error(grads.q, exact.gradients[0]), kBf16Bound);
        EXPECT_LE(relative_error(grads.k, exact.gradients[1]), kBf16Bound);
        EXPECT_LE(relative_error(grads.v, exact.gradients[2]), kBf16Bound);
      }
    }
  }
}

// The last tokens of a sequence attend as they do behind the others as a cache, and their keys get
// gradients of theirs alone.
TEST_F(CudaAttention, OfTheLastOf350KTokensIsWhatItIsBehindACache) {
  constexpr int64_t kTokens = 350208, kLast = 128;
  const auto last = [](const at::Tensor& x) { return x.narrow(2, x.size(2) - kLast, kLast); };
  const CudaHeads heads = random_heads(8, 2, kTokens);
  const CudaHeads behind{last(heads.q), heads.k, heads.v, last(heads.grad_out)};
  const AttentionResult expected = behind.forward(/*by_cudnn=*/false);
  const AttentionGradients expected_grads = behind.backward(/*by_cudnn=*/false, expected);
  for (const bool by_cudnn : {false, true}) {
    if (by_cudnn && !has_cudnn()) continue;
    SCOPED_TRACE(by_cudnn ? "cuDNN's" : "FlashAttention-2's");
    const AttentionResult made = heads.forward(by_cudnn);
    EXPECT_LE(relative_error(last(made.out), expected.out), kLongBf16Bound);
    EXPECT_LE(relative_error(last(made.log_sum_exp), expected.log_sum_exp), 1e-4);
    const AttentionGradients grads = heads.backward(by_cudnn, made);
    EXPECT_LE(relative_error(last(grads.q), expected_grads.q), kLongBf16Bound);
    EXPECT_LE(relative_error(last(grads.k), last(expected_grads.k)), kLongBf16Bound);
    EXPECT_LE(relative_error(last(grads.v), last(expected_grads.v)), kLongBf16Bound);
  }
}

}  // namespace
}  // namespace longspan
