#include "src/attention/kernels/causal_attention.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "src/attention/kernels/flash_attention.h"

namespace longspan {
namespace {

/// The first visible key of the query at `position` of batch entry b, head h.
using Interval = std::function<int64_t(int64_t b, int64_t h, int64_t position)>;

int64_t full(int64_t, int64_t, int64_t) { return 0; }

/// Shifted sparse attention: groups G/2, G, ..., G, G/2 in heads from `first_shifted` on.
Interval shifted_groups(int64_t group, int64_t first_shifted) {
  return [=](int64_t, int64_t h, int64_t position) {
    const int64_t shift = h < first_shifted ? 0 : group / 2;
    return std::max<int64_t>(0, (position + shift) / group * group - shift);
  };
}

Interval sliding_window(int64_t window) {
  return
      [=](int64_t, int64_t, int64_t position) { return std::max<int64_t>(0, position - window); };
}

/// Packed documents, cut elsewhere in each batch entry.
Interval documents(std::vector<int64_t> begins) {
  return [=](int64_t b, int64_t, int64_t position) {
    int64_t start = 0;
    for (const int64_t begin : begins) {
      if (begin + 5 * b <= position) start = begin + 5 * b;
    }
    return start;
  };
}

struct Case {
  std::string name;
  int64_t batch, heads, key_value_heads, queries, keys, head_dim;
  Interval interval;
};

std::ostream& operator<<(std::ostream& to, const Case& c) {
  return to << c.name << " B" << c.batch << " H" << c.heads << "/" << c.key_value_heads << " T"
            << c.queries << "/" << c.keys << " D" << c.head_dim;
}

at::Tensor key_start_of(const Case& c) {
  at::Tensor result = at::zeros({c.batch, c.heads, c.queries}, at::kInt);
  auto* to = result.mutable_data_ptr<int32_t>();
  for (int64_t b = 0; b < c.batch; ++b) {
    for (int64_t h = 0; h < c.heads; ++h) {
      for (int64_t i = 0; i < c.queries; ++i) {
        *to++ = static_cast<int32_t>(c.interval(b, h, c.keys - c.queries + i));
      }
    }
  }
  return result;
}

struct Operands {
  at::Tensor q, k, v, grad_out, key_start;

  Operands to(at::ScalarType dtype) const {
    return {q.to(dtype), k.to(dtype), v.to(dtype), grad_out.to(dtype), key_start};
  }
};

/// Random bf16 values in the layout of the model: [B, T, H, D] seen as [B, H, T, D].
Operands operands_of(const Case& c) {
  const auto random = [&](int64_t heads, int64_t tokens) {
    return at::randn({c.batch, tokens, heads, c.head_dim}).to(at::kBFloat16).transpose(1, 2);
  };
  return {random(c.heads, c.queries), random(c.key_value_heads, c.keys),
          random(c.key_value_heads, c.keys), random(c.heads, c.queries), key_start_of(c)};
}

/// Softmax over the visible scores, written out.
at::Tensor plain_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const at::Tensor& key_start) {
  const int64_t groups = q.size(1) / k.size(1), queries = q.size(2), keys = k.size(2);
  const at::Tensor positions = at::arange(keys - queries, keys).unsqueeze(1);
  const at::Tensor hidden =
      at::arange(keys).gt(positions).logical_or(at::arange(keys).lt(key_start.unsqueeze(3)));
  const at::Tensor scores =
      at::matmul(q, k.repeat_interleave(groups, 1).transpose(2, 3)) / std::sqrt(q.size(3));
  return at::matmul(at::softmax(scores.masked_fill(hidden, -INFINITY), 3),
                    v.repeat_interleave(groups, 1));
}

using Attention = std::function<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                           const at::Tensor&)>;

/// Output, dQ, dK, dV.
struct Results {
  std::vector<at::Tensor> tensors;
  std::string function;  // the name of the autograd node
};
constexpr const char* kResultNames[] = {"out", "dQ", "dK", "dV"};

Results run(const Operands& operands, const Attention& attention) {
  const at::Tensor q = operands.q.detach().requires_grad_(true);
  const at::Tensor k = operands.k.detach().requires_grad_(true);
  const at::Tensor v = operands.v.detach().requires_grad_(true);
  const at::Tensor out = attention(q, k, v, operands.key_start);
  out.backward(operands.grad_out);
  return {{out.detach(), q.grad(), k.grad(), v.grad()}, out.grad_fn()->name()};
}

/// LONGSPAN_ATTENTION=sdpa while it lives.
class ForcedSdpa {
 public:
  ForcedSdpa() { setenv("LONGSPAN_ATTENTION", "sdpa", 1); }
  ~ForcedSdpa() { unsetenv("LONGSPAN_ATTENTION"); }
};

Results run_sdpa(const Operands& operands) {
  const ForcedSdpa forced;
  return run(operands, causal_attention);
}

double relative_error(const at::Tensor& value, const at::Tensor& reference) {
  const at::Tensor difference = value.to(at::kDouble) - reference;
  return at::linalg_vector_norm(difference).item<double>() /
         at::linalg_vector_norm(reference).item<double>();
}

bool has_flash() { return flash_attention_supports(at::zeros({1, 1, 1, 64}, at::kBFloat16)); }

std::vector<Case> cases() {
  return {{"full", 1, 4, 2, 1000, 1000, 64, full},
          {"full", 1, 2, 1, 833, 833, 128, full},
          {"full", 2, 2, 2, 97, 97, 80, full},
          {"full", 1, 2, 1, 401, 401, 96, full},
          {"full", 1, 1, 1, 450, 450, 256, full},
          {"full", 1, 2, 1, 1, 1, 64, full},
          {"prompt after a cache", 1, 2, 1, 101, 740, 64, full},
          {"decoding", 2, 4, 2, 1, 333, 128, full},
          {"shifted", 1, 9, 3, 777, 777, 64, shifted_groups(256, 4)},
          {"shifted", 2, 4, 2, 611, 611, 128, shifted_groups(130, 2)},
          {"shifted after a cache", 1, 9, 3, 300, 777, 64, shifted_groups(254, 5)},
          {"documents", 2, 4, 2, 901, 901, 64, documents({1, 7, 129, 400, 401, 650})},
          {"documents", 1, 2, 1, 500, 500, 128, documents({385, 390, 441})},
          {"window", 1, 4, 2, 900, 900, 64, sliding_window(100)},
          {"window after a cache", 1, 2, 1, 200, 700, 128, sliding_window(333)}};
}

/// One thread unless a test says otherwise: on a machine busy with compilers OpenMP threads spin at
/// each of LibTorch's many small steps, which took these tests from 3 s to 50 s.
class CausalAttention : public ::testing::Test {
 protected:
  void SetUp() override { at::set_num_threads(1); }
  void TearDown() override { at::set_num_threads(threads_); }

 private:
  int threads_ = at::get_num_threads();
};

TEST_F(CausalAttention, FlashIsAsAccurateAsSdpa) {
  if (!has_flash()) GTEST_SKIP() << "this processor has no AVX512-BF16";
  for (const Case& c : cases()) {
    SCOPED_TRACE(::testing::PrintToString(c));
    const Operands operands = operands_of(c);
    const Results reference = run(operands.to(at::kDouble), plain_attention);
    const Results sdpa = run_sdpa(operands);
    const Results flash = run(operands, causal_attention);
    EXPECT_NE(flash.function.find("FlashAttention"), std::string::npos) << flash.function;
    EXPECT_EQ(sdpa.function.find("FlashAttention"), std::string::npos) << sdpa.function;
    for (int i = 0; i < 4; ++i) {
      SCOPED_TRACE(kResultNames[i]);
      const at::Tensor& expected = reference.tensors[i];
      // A gradient that is zero but for rounding (one visible key) has no relative error.
      if (at::linalg_vector_norm(expected).item<double>() < 1e-6) continue;
      const double error = relative_error(flash.tensors[i], expected);
      EXPECT_LE(error, 1.5 * relative_error(sdpa.tensors[i], expected));
      EXPECT_LE(error, 0.006);
    }
  }
}

TEST_F(CausalAttention, SdpaPathIsExactInDouble) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(::testing::PrintToString(c));
    const Operands operands = operands_of(c).to(at::kDouble);
    const Results reference = run(operands, plain_attention);
    const Results result = run(operands, causal_attention);
    for (int i = 0; i < 4; ++i) {
      SCOPED_TRACE(kResultNames[i]);
      const at::Tensor difference = result.tensors[i] - reference.tensors[i];
      EXPECT_LE(difference.abs().max().item<double>(), 1e-11);
    }
  }
}

TEST_F(CausalAttention, GivesTheSameBitsTwice) {
  at::set_num_threads(3);
  const Operands operands = operands_of({"", 1, 9, 3, 1333, 1333, 64, shifted_groups(512, 4)});
  const Results first = run(operands, causal_attention);
  const Results second = run(operands, causal_attention);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(at::equal(first.tensors[i], second.tensors[i]));
}

TEST_F(CausalAttention, SplitsOneHeadOverThreadsWithoutChangingTheGradients) {
  const Operands operands = operands_of({"", 1, 2, 1, 1700, 1700, 64, full});
  const Results reference = run(operands.to(at::kDouble), plain_attention);
  for (const int count : {1, 4}) {
    at::set_num_threads(count);
    const Results result = run(operands, causal_attention);
    for (int i = 0; i < 4; ++i) {
      EXPECT_LE(relative_error(result.tensors[i], reference.tensors[i]), 0.006)
          << kResultNames[i] << " with " << count << " threads";
    }
  }
}

/// The operands with another token at `position`.
Operands with_token_changed(const Operands& operands, int64_t position) {
  Operands result{operands.q.clone(), operands.k.clone(), operands.v.clone(), operands.grad_out,
                  operands.key_start};
  result.q.select(2, position).fill_(3);
  result.k.select(2, position).fill_(-2);
  result.v.select(2, position).fill_(5);
  return result;
}

TEST_F(CausalAttention, LeaksNothingFromTheFuture) {
  for (const Interval& interval : {Interval(full), shifted_groups(256, 1), sliding_window(90)}) {
    const Operands operands = operands_of({"", 1, 3, 1, 700, 700, 64, interval});
    const at::Tensor out = run(operands, causal_attention).tensors[0];
    for (const int64_t t : {1, 63, 64, 383, 384, 511, 600, 699}) {
      const at::Tensor changed = run(with_token_changed(operands, t), causal_attention).tensors[0];
      EXPECT_TRUE(at::equal(changed.slice(2, 0, t), out.slice(2, 0, t))) << "token " << t;
      EXPECT_FALSE(at::equal(changed.select(2, t), out.select(2, t))) << "token " << t;
    }
  }
}

TEST_F(CausalAttention, SendsNoGradientToTheFuture) {
  Operands operands = operands_of({"", 1, 3, 1, 700, 700, 64, shifted_groups(256, 1)});
  operands.grad_out = operands.grad_out.clone();
  operands.grad_out.slice(2, 450).zero_();
  const Results results = run(operands, causal_attention);
  for (int i = 1; i < 4; ++i) {
    EXPECT_EQ(results.tensors[i].slice(2, 450).abs().max().item<float>(), 0) << kResultNames[i];
    EXPECT_GT(results.tensors[i].slice(2, 0, 450).abs().max().item<float>(), 0);
  }
}

TEST_F(CausalAttention, KeepsDocumentsApart) {
  const Operands operands = operands_of({"", 1, 2, 1, 600, 600, 128, documents({130, 391})});
  const Results base = run(operands, causal_attention);
  const Results changed = run(with_token_changed(operands, 129), causal_attention);
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(at::equal(changed.tensors[i].slice(2, 130), base.tensors[i].slice(2, 130)));
    EXPECT_FALSE(at::equal(changed.tensors[i].slice(2, 0, 130), base.tensors[i].slice(2, 0, 130)));
  }
}

TEST_F(CausalAttention, TakesAnyStridesAndExpandedGradients) {
  const Operands operands = operands_of({"", 2, 4, 2, 130, 130, 64, full});
  const Results base = run(operands, causal_attention);
  // The last dimension strided, heads outermost, keys from a larger buffer.
  const Operands strided{
      operands.q.transpose(2, 3).contiguous().transpose(2, 3),
      at::zeros({2, 2, 200, 64}, at::kBFloat16).narrow(2, 0, 130).copy_(operands.k),
      operands.v.contiguous(), operands.grad_out.contiguous(), operands.key_start};
  const Results same = run(strided, causal_attention);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(at::equal(base.tensors[i], same.tensors[i]));

  Operands expanded = operands;
  expanded.grad_out = at::zeros({1}, at::kBFloat16).fill_(0.5).expand(operands.q.sizes());
  Operands dense = operands;
  dense.grad_out = expanded.grad_out.contiguous();
  EXPECT_TRUE(at::equal(run(expanded, causal_attention).tensors[2],
                        run(dense, causal_attention).tensors[2]));
}

TEST_F(CausalAttention, RefusesIntervalsOutsideTheKeys) {
  Operands operands = operands_of({"", 1, 1, 1, 8, 8, 64, full});
  const auto attend = [&] {
    return causal_attention(operands.q, operands.k, operands.v, operands.key_start);
  };
  EXPECT_NO_THROW(attend());
  operands.key_start.select(2, 3).fill_(4);  // past its own position
  EXPECT_THROW(attend(), c10::Error);
  operands.key_start.select(2, 3).fill_(3);  // decreases at the next query
  EXPECT_THROW(attend(), c10::Error);
  operands.key_start.slice(2, 3).fill_(-1);
  EXPECT_THROW(attend(), c10::Error);
  operands.key_start = operands.key_start.to(at::kLong).zero_();
  EXPECT_THROW(attend(), c10::Error);
}

}  // namespace
}  // namespace longspan
