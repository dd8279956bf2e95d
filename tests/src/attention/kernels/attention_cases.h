#pragma once

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "src/attention/kernels/interval_attention.h"
#include "tests/support/gradients.h"
#include "tests/support/masked_attention.h"
#include "tests/support/processors.h"

// Attention of random operands in many shapes, its results and gradients, and the plain reference.

namespace longspan {

/// The first visible key of the query at `position` of batch entry b, head h.
using Interval = std::function<int64_t(int64_t b, int64_t h, int64_t position)>;

inline int64_t full(int64_t, int64_t, int64_t) { return 0; }

/// Shifted sparse attention: groups G/2, G, ..., G, G/2 in heads from `first_shifted` on.
inline Interval shifted_groups(int64_t group, int64_t first_shifted) {
  return [=](int64_t, int64_t h, int64_t position) {
    const int64_t shift = h < first_shifted ? 0 : group / 2;
    return std::max<int64_t>(0, (position + shift) / group * group - shift);
  };
}

inline Interval sliding_window(int64_t window) {
  return
      [=](int64_t, int64_t, int64_t position) { return std::max<int64_t>(0, position - window); };
}

/// Packed documents, cut elsewhere in each batch entry.
inline Interval documents(std::vector<int64_t> begins) {
  return [=](int64_t b, int64_t, int64_t position) {
    int64_t start = 0;
    for (const int64_t begin : begins) {
      if (begin + 5 * b <= position) start = begin + 5 * b;
    }
    return start;
  };
}

/// The last `window` keys before a token within its document.
inline Interval window_within(Interval document, int64_t window) {
  return [=](int64_t b, int64_t h, int64_t position) {
    return std::max(document(b, h, position), position - window);
  };
}

struct Case {
  std::string name;
  int64_t batch, heads, key_value_heads, queries, keys, head_dim;
  Interval interval;
  int64_t sinks = 0;         // tokens that begin a document and are seen by all of it
  Interval document = full;  // where it begins
};

inline std::ostream& operator<<(std::ostream& to, const Case& c) {
  return to << c.name << " B" << c.batch << " H" << c.heads << "/" << c.key_value_heads << " T"
            << c.queries << "/" << c.keys << " D" << c.head_dim;
}

inline at::Tensor int_of_each_query(const Case& c, const Interval& value) {
  at::Tensor result = at::zeros({c.batch, c.heads, c.queries}, at::kInt);
  auto* to = result.mutable_data_ptr<int32_t>();
  for (int64_t b = 0; b < c.batch; ++b) {
    for (int64_t h = 0; h < c.heads; ++h) {
      for (int64_t i = 0; i < c.queries; ++i) {
        *to++ = static_cast<int32_t>(value(b, h, c.keys - c.queries + i));
      }
    }
  }
  return result;
}

inline at::Tensor sinks_of(const Case& c, const at::Tensor& key_start) {
  if (c.sinks == 0) return {};
  const at::Tensor begin = int_of_each_query(c, c.document);
  return at::stack({begin, at::minimum(begin + c.sinks, key_start)});
}

struct Operands {
  at::Tensor q, k, v, grad_out;
  VisibleKeys visible;

  Operands to(at::ScalarType dtype) const {
    return {q.to(dtype), k.to(dtype), v.to(dtype), grad_out.to(dtype), visible};
  }
};

/// Random bf16 values in the layout of the model: [B, T, H, D] seen as [B, H, T, D].
inline Operands operands_of(const Case& c) {
  const auto random = [&](int64_t heads, int64_t tokens) {
    return at::randn({c.batch, tokens, heads, c.head_dim}).to(at::kBFloat16).transpose(1, 2);
  };
  const at::Tensor key_start = int_of_each_query(c, c.interval);
  return {random(c.heads, c.queries),
          random(c.key_value_heads, c.keys),
          random(c.key_value_heads, c.keys),
          random(c.heads, c.queries),
          {.begin = key_start, .sinks = sinks_of(c, key_start)}};
}

/// By its definition.
inline at::Tensor plain_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const Operands& operands) {
  const int64_t queries = q.size(2), keys = k.size(2);
  const at::Tensor key = at::arange(keys);
  const at::Tensor positions = at::arange(keys - queries, keys).unsqueeze(1);
  const VisibleKeys& keys_seen = operands.visible;
  at::Tensor visible = key.ge(keys_seen.begin.unsqueeze(3)).logical_and(key.le(positions));
  if (keys_seen.sinks.defined()) {
    const at::Tensor sinks = keys_seen.sinks.unsqueeze(4);
    visible = visible.logical_or(key.ge(sinks[0]).logical_and(key.lt(sinks[1])));
  }
  return masked_attention(q, k, v, visible);
}

inline at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const Operands& operands) {
  return interval_attention(q, k, v, operands.visible);
}

using Attention = std::function<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                           const Operands&)>;

/// Output, dQ, dK, dV.
struct Results {
  std::vector<at::Tensor> tensors;
  std::string function;  // the name of the autograd node
};
constexpr const char* kResultNames[] = {"out", "dQ", "dK", "dV"};

inline Results run(const Operands& operands, const Attention& attend) {
  const at::Tensor q = operands.q.detach().requires_grad_(true);
  const at::Tensor k = operands.k.detach().requires_grad_(true);
  const at::Tensor v = operands.v.detach().requires_grad_(true);
  const at::Tensor out = attend(q, k, v, operands);
  out.backward(operands.grad_out);
  return {{out.detach(), q.grad(), k.grad(), v.grad()}, out.grad_fn()->name()};
}

inline Results run_sdpa(const Operands& operands) {
  const ForcedProcessor forced("none");
  return run(operands, attention);
}

inline std::vector<Case> cases() {
  return {{"full", 1, 4, 2, 1000, 1000, 64, full},
          {"full", 1, 2, 1, 833, 833, 128, full},
          {"full", 2, 2, 2, 97, 97, 80, full},
          {"full", 1, 2, 1, 401, 401, 96, full},
          {"full", 1, 1, 1, 450, 450, 256, full},
          {"full", 1, 2, 1, 1, 1, 64, full},
          {"prompt after a cache", 1, 2, 1, 101, 740, 64, full},
          {"decoding", 2, 4, 2, 1, 333, 128, full},
          {"decoding, odd groups", 1, 9, 3, 1, 1900, 64, full},
          {"decoding, many heads a group", 2, 7, 1, 1, 601, 80, full},
          {"decoding, one key", 1, 6, 1, 1, 1, 256, full},
          {"decoding in a window, and sinks", 1, 4, 2, 1, 3003, 64, sliding_window(1100), 700},
          {"decoding, heads that see different keys", 1, 6, 2, 1, 777, 96, shifted_groups(256, 2)},
          {"shifted", 1, 9, 3, 777, 777, 64, shifted_groups(256, 4)},
          {"shifted", 2, 4, 2, 611, 611, 128, shifted_groups(130, 2)},
          {"shifted after a cache", 1, 9, 3, 300, 777, 64, shifted_groups(254, 5)},
          {"documents", 2, 4, 2, 901, 901, 64, documents({1, 7, 129, 400, 401, 650})},
          {"documents", 1, 2, 1, 500, 500, 128, documents({385, 390, 441})},
          {"window", 1, 4, 2, 900, 900, 64, sliding_window(100)},
          {"window after a cache", 1, 2, 1, 200, 700, 128, sliding_window(333)},
          {"window and sinks", 1, 4, 2, 900, 900, 64, sliding_window(100), 4},
          {"window and many sinks", 2, 2, 1, 1700, 1700, 64, sliding_window(50), 901},
          {"window and sinks after a cache", 1, 2, 1, 200, 1900, 128, sliding_window(77), 13},
          {"window far down a cache", 1, 4, 2, 3, 3003, 64, sliding_window(100)},
          {"window far down a cache, and sinks", 1, 4, 2, 3, 3003, 64, sliding_window(100), 4},
          // The second query head sees a pack of 1,024 keys that the first does not.
          {"shifted far down a cache", 1, 4, 2, 3, 3003, 64, shifted_groups(2900, 1)},
          {"window and sinks in documents", 2, 4, 2, 1301, 1301, 80,
           window_within(documents({1, 7, 129, 130, 840, 1180}), 60), 9,
           documents({1, 7, 129, 130, 840, 1180})}};
}

/// One thread unless a test says otherwise: on a machine busy with compilers OpenMP threads spin at
/// each of LibTorch's many small steps, which took these tests from 3 s to 50 s.
class IntervalAttention : public ::testing::Test {
 protected:
  void SetUp() override { at::set_num_threads(1); }
  void TearDown() override { at::set_num_threads(threads_); }

 private:
  int threads_ = at::get_num_threads();
};

}  // namespace longspan
