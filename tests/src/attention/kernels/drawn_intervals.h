#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/stack.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>

#include "src/attention/kernels/interval_attention.h"

// Attention whose intervals have any begin and end, in shapes drawn at random, and its definition.

namespace longspan {

constexpr double kNothingSeen = -std::numeric_limits<double>::infinity();

struct Drawn {
  at::Tensor q, k, v;             // bf16 values in float64
  at::Tensor grad_out, grad_lse;  // float64
  VisibleKeys visible;
  std::string description;
};

/// int32 of 0 .. most that never decreases along the last dimension.
inline at::Tensor draw_ascending(at::IntArrayRef sizes, int64_t most) {
  const at::Tensor drawn = at::randint(most + 1, sizes, at::kInt);
  return std::get<0>(at::sort(drawn, -1)).contiguous();
}

/// One query, or more than there are keys, or fewer; intervals of which some are empty, and
/// sometimes sinks.
inline Drawn draw(std::mt19937& generator, int64_t most_tokens, int64_t head_dim) {
  const auto from = [&](int64_t low, int64_t high) {
    return low + static_cast<int64_t>(generator() % static_cast<uint64_t>(high - low + 1));
  };
  const int64_t batch = from(1, 2), key_heads = from(1, 2), heads = key_heads * from(1, 3);
  const int64_t queries = from(0, 4) == 0 ? 1 : from(1, most_tokens);
  const int64_t keys = from(1, most_tokens);
  const auto random = [&](int64_t of, int64_t tokens) {
    const at::Tensor x = at::randn({batch, tokens, of, head_dim}).to(at::kBFloat16);
    return x.to(at::kDouble).transpose(1, 2);
  };
  Drawn drawn{random(heads, queries),
              random(key_heads, keys),
              random(key_heads, keys),
              random(heads, queries),
              at::randn({batch, heads, queries}, at::kDouble),
              {draw_ascending({batch, heads, queries}, keys),
               draw_ascending({batch, heads, queries}, keys)},
              {}};
  if (from(0, 2) == 0) {
    const at::Tensor first = draw_ascending({batch, heads, queries}, keys / 4);
    const at::Tensor begin = at::minimum(first, drawn.visible.begin);
    const at::Tensor end =
        at::minimum(begin + static_cast<int64_t>(from(0, 5)), drawn.visible.begin);
    drawn.visible.sinks = at::stack({begin, end});
  }
  drawn.description = "B" + std::to_string(batch) + " H" + std::to_string(heads) + "/" +
                      std::to_string(key_heads) + " T" + std::to_string(queries) + "/" +
                      std::to_string(keys) + " D" + std::to_string(head_dim) +
                      (drawn.visible.sinks.defined() ? " with sinks" : "");
  return drawn;
}

/// The same intervals and sinks as a mask [B, H, Tq, Tk].
inline at::Tensor mask_of(const VisibleKeys& visible, int64_t keys) {
  const at::Tensor key = at::arange(keys, visible.begin.options());
  const auto within = [&](const at::Tensor& begin, const at::Tensor& end) {
    return key.ge(begin.unsqueeze(-1)).logical_and(key.lt(end.unsqueeze(-1)));
  };
  at::Tensor mask = within(visible.begin, visible.end);
  if (!visible.sinks.defined()) return mask;
  return mask.logical_or(within(visible.sinks[0], visible.sinks[1]));
}

/// By its definition, in the dtype of q; a query that sees nothing gets 0 and -infinity, and passes
/// no gradient on.
inline AttentionResult defined_attention(const at::Tensor& q, const at::Tensor& k,
                                         const at::Tensor& v, const at::Tensor& mask) {
  const int64_t repeats = q.size(1) / k.size(1);
  const at::Tensor keys = k.repeat_interleave(repeats, 1), values = v.repeat_interleave(repeats, 1);
  const at::Tensor scores = at::matmul(q, keys.transpose(2, 3)) / std::sqrt(double(q.size(3)));
  const at::Tensor nothing = mask.any(-1).logical_not();  // [B, H, Tq]
  // Such a row sees all here, and what comes of it is replaced.
  const at::Tensor hidden = mask.logical_or(nothing.unsqueeze(-1)).logical_not();
  const at::Tensor seen = scores.masked_fill(hidden, kNothingSeen);
  return {at::matmul(at::softmax(seen, -1), values).masked_fill(nothing.unsqueeze(-1), 0),
          at::logsumexp(seen, -1).masked_fill(nothing, kNothingSeen)};
}

}  // namespace longspan
