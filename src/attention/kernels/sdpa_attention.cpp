#include "src/attention/kernels/sdpa_attention.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <vector>

namespace longspan {
namespace {

// Query rows under one explicit mask: the mask takes rows * keys bytes.
constexpr int64_t kMaskRows = 512;

// What the queries see is one tensor of 1 or 3 planes: the begin of the interval and, when there
// are sinks, their begin and end.

using Starts = std::span<const int32_t>;

Starts plane_of(const at::Tensor& host, int64_t plane, int64_t b, int64_t h) {
  const int64_t queries = host.size(3);
  const int64_t head = (plane * host.size(1) + b) * host.size(2) + h;
  return Starts(host.const_data_ptr<int32_t>() + head * queries, queries);
}

bool alike(const at::Tensor& host, int64_t b, int64_t h, int64_t other_b, int64_t other_h) {
  for (int64_t plane = 0; plane < host.size(0); ++plane) {
    if (!std::ranges::equal(plane_of(host, plane, b, h), plane_of(host, plane, other_b, other_h))) {
      return false;
    }
  }
  return true;
}

/// Heads [1, H, T, D] that all see the same keys.
struct Alike {
  at::Tensor q, k, v;
  at::Tensor visible;  // [planes, Tq], on the CPU
  std::vector<Starts> host;

  bool gqa() const { return q.size(1) != k.size(1); }
  int64_t offset() const { return k.size(2) - q.size(2); }

  /// A query that sees itself alone begins a run of plain causal attention.
  bool begins_run(int64_t row) const { return host.size() == 1 && host[0][row] == offset() + row; }
};

/// Attention of the query rows [begin, end) under an explicit mask, which one row without sinks
/// needs not: it sees all of its interval.
at::Tensor masked_block(const Alike& heads, int64_t begin, int64_t end) {
  const int64_t position = heads.offset() + begin, keys_end = heads.offset() + end;
  const int64_t first_key = heads.host[0][begin];
  const bool has_sinks = heads.host.size() > 1;
  // Where the mask is: a copy that need not be waited for.
  const auto plane = [&](int64_t i) {
    const at::Tensor rows = heads.visible[i].slice(0, begin, end).unsqueeze(1);
    return rows.to(heads.q.device(), rows.scalar_type(), /*non_blocking=*/true);
  };
  const auto numbers = at::TensorOptions(heads.q.device()).dtype(at::kInt);
  at::Tensor k = heads.k.slice(2, first_key, keys_end), v = heads.v.slice(2, first_key, keys_end);
  std::optional<at::Tensor> mask;
  if (has_sinks || end - begin > 1) {
    const at::Tensor keys = at::arange(first_key, keys_end, numbers);
    const at::Tensor positions = at::arange(position, keys_end, numbers).unsqueeze(1);
    mask = keys.ge(plane(0)).logical_and(keys.le(positions));
  }
  if (has_sinks) {
    const int64_t first = heads.host[1][begin];
    const int64_t last = std::max<int64_t>(first, heads.host[2][end - 1]);
    const at::Tensor sinks = at::arange(first, last, numbers);
    mask = at::cat({sinks.ge(plane(1)).logical_and(sinks.lt(plane(2))), *mask}, 1);
    k = at::cat({heads.k.slice(2, first, last), k}, 2);
    v = at::cat({heads.v.slice(2, first, last), v}, 2);
  }
  return at::scaled_dot_product_attention(heads.q.slice(2, begin, end), k, v, mask,
                                          /*dropout_p=*/0.0, /*is_causal=*/false,
                                          /*scale=*/std::nullopt, heads.gqa());
}

/// A run of rows with one begin which begins at its own position is plain causal attention; the
/// rows between such runs get a mask.
at::Tensor attend_alike(const Alike& heads) {
  const int64_t queries = heads.q.size(2), offset = heads.offset();
  const Starts starts = heads.host[0];
  std::vector<at::Tensor> blocks;
  for (int64_t begin = 0; begin < queries;) {
    int64_t end = begin + 1;
    if (heads.begins_run(begin)) {
      while (end < queries && starts[end] == starts[begin]) ++end;
      blocks.push_back(at::scaled_dot_product_attention(
          heads.q.slice(2, begin, end), heads.k.slice(2, offset + begin, offset + end),
          heads.v.slice(2, offset + begin, offset + end), /*attn_mask=*/{}, /*dropout_p=*/0.0,
          /*is_causal=*/true, /*scale=*/std::nullopt, heads.gqa()));
    } else {
      while (end < std::min(queries, begin + kMaskRows) && !heads.begins_run(end)) ++end;
      blocks.push_back(masked_block(heads, begin, end));
    }
    begin = end;
  }
  return at::cat(blocks, 2);
}

/// Attention of batch entry b of `host`; q, k, v hold that entry, or all when they are alike.
at::Tensor attend_entry(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        const at::Tensor& host, int64_t b) {
  const int64_t heads = q.size(1), sharers = heads / k.size(1);  // of a key/value head
  std::vector<std::vector<int64_t>> groups;
  for (int64_t h = 0; h < heads; ++h) {
    const auto same = std::find_if(groups.begin(), groups.end(), [&](const auto& group) {
      return alike(host, b, group.front(), b, h);
    });
    if (same == groups.end()) {
      groups.push_back({h});
    } else {
      same->push_back(h);
    }
  }
  const auto heads_of = [&](const at::Tensor& qs, const at::Tensor& ks, const at::Tensor& vs,
                            int64_t h) {
    Alike result{qs, ks, vs, host.select(1, b).select(1, h), {}};
    for (int64_t plane = 0; plane < host.size(0); ++plane) {
      result.host.push_back(plane_of(host, plane, b, h));
    }
    return result;
  };
  if (groups.size() == 1) return attend_alike(heads_of(q, k, v, 0));
  const auto index = at::TensorOptions(at::kLong).device(q.device());
  std::vector<at::Tensor> results;
  std::vector<int64_t> place(heads);  // of each head among the results
  int64_t next = 0;
  for (const std::vector<int64_t>& group : groups) {
    std::vector<int64_t> key_heads;
    for (const int64_t h : group) {
      key_heads.push_back(h / sharers);
      place[h] = next++;
    }
    // Whole sets of sharers go on sharing; else each query head gets its own.
    std::vector<int64_t> distinct;
    std::ranges::unique_copy(key_heads, std::back_inserter(distinct));
    if (std::ssize(distinct) * sharers == std::ssize(group)) key_heads = distinct;
    const at::Tensor from = at::tensor(key_heads, index);
    results.push_back(attend_alike(heads_of(at::index_select(q, 1, at::tensor(group, index)),
                                            at::index_select(k, 1, from),
                                            at::index_select(v, 1, from), group.front())));
  }
  return at::index_select(at::cat(results, 1), 1, at::tensor(place, index));
}

}  // namespace

at::Tensor sdpa_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                          const VisibleKeys& seen) {
  at::Tensor planes = seen.begin.unsqueeze(0);
  if (seen.sinks.defined()) planes = at::cat({planes, seen.sinks});
  const at::Tensor host = planes.cpu();
  const int64_t batch = q.size(0);
  bool entries_alike = true;
  for (int64_t b = 1; b < batch; ++b) {
    for (int64_t h = 0; h < q.size(1); ++h) entries_alike &= alike(host, 0, h, b, h);
  }
  if (entries_alike) return attend_entry(q, k, v, host, 0);
  std::vector<at::Tensor> results;
  for (int64_t b = 0; b < batch; ++b) {
    results.push_back(
        attend_entry(q.narrow(0, b, 1), k.narrow(0, b, 1), v.narrow(0, b, 1), host, b));
  }
  return at::cat(results, 0);
}

}  // namespace longspan
