#include "src/attention/kernels/sdpa_attention.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace longspan {
namespace {

// Query rows under one explicit mask: the mask takes rows * keys bytes.
constexpr int64_t kMaskRows = 512;

using Starts = std::span<const int32_t>;

/// Attention of the query rows [begin, end) under an explicit mask.
at::Tensor masked_block(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        const at::Tensor& key_start, int64_t begin, int64_t end,
                        int64_t first_key) {
  const int64_t position = k.size(2) - q.size(2) + begin;
  const int64_t keys_end = position + end - begin;
  const at::Tensor keys = at::arange(first_key, keys_end, key_start.options());
  const at::Tensor positions = at::arange(position, keys_end, key_start.options()).unsqueeze(1);
  const at::Tensor starts = key_start.slice(0, begin, end).unsqueeze(1);
  const at::Tensor mask = keys.ge(starts).logical_and(keys.le(positions));
  return at::scaled_dot_product_attention(q.slice(2, begin, end), k.slice(2, first_key, keys_end),
                                          v.slice(2, first_key, keys_end), mask, /*dropout_p=*/0.0,
                                          /*is_causal=*/false, /*scale=*/std::nullopt,
                                          /*enable_gqa=*/q.size(1) != k.size(1));
}

/// Attention of heads that all have the same key_start row. A run of rows with one key_start which
/// begins at its own position is plain causal attention; the rows between such runs get a mask.
at::Tensor attend_alike(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        const at::Tensor& key_start, Starts starts) {
  const int64_t queries = q.size(2);
  const int64_t offset = k.size(2) - queries;
  const auto begins_run = [&](int64_t row) { return starts[row] == offset + row; };
  std::vector<at::Tensor> blocks;
  for (int64_t begin = 0; begin < queries;) {
    int64_t end = begin + 1;
    if (begins_run(begin)) {
      while (end < queries && starts[end] == starts[begin]) ++end;
      blocks.push_back(at::scaled_dot_product_attention(
          q.slice(2, begin, end), k.slice(2, offset + begin, offset + end),
          v.slice(2, offset + begin, offset + end), /*attn_mask=*/{}, /*dropout_p=*/0.0,
          /*is_causal=*/true, /*scale=*/std::nullopt, /*enable_gqa=*/q.size(1) != k.size(1)));
    } else {
      while (end < std::min(queries, begin + kMaskRows) && !begins_run(end)) ++end;
      blocks.push_back(masked_block(q, k, v, key_start, begin, end, starts[begin]));
    }
    begin = end;
  }
  return at::cat(blocks, 2);
}

/// Attention of one batch entry ([1, H, T, D]); heads with the same key_start row go together.
at::Tensor attend_entry(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        const at::Tensor& key_start, const at::Tensor& host_key_start) {
  const int64_t heads = q.size(1), queries = q.size(2);
  const auto row = [&](int64_t h) {
    return Starts(host_key_start.const_data_ptr<int32_t>() + h * queries, queries);
  };
  std::vector<std::vector<int64_t>> alike;
  for (int64_t h = 0; h < heads; ++h) {
    const auto same = std::find_if(alike.begin(), alike.end(), [&](const auto& group) {
      return std::ranges::equal(row(group.front()), row(h));
    });
    if (same == alike.end()) {
      alike.push_back({h});
    } else {
      same->push_back(h);
    }
  }
  if (alike.size() == 1) return attend_alike(q, k, v, key_start[0], row(0));
  std::vector<at::Tensor> results;
  std::vector<int64_t> place(heads);  // of each head among the results
  int64_t next = 0;
  for (const std::vector<int64_t>& group : alike) {
    std::vector<int64_t> key_heads;
    for (const int64_t h : group) {
      key_heads.push_back(h / (heads / k.size(1)));
      place[h] = next++;
    }
    const auto index = at::TensorOptions(at::kLong).device(q.device());
    const at::Tensor from = at::tensor(key_heads, index);
    results.push_back(attend_alike(at::index_select(q, 1, at::tensor(group, index)),
                                   at::index_select(k, 1, from), at::index_select(v, 1, from),
                                   key_start[group.front()], row(group.front())));
  }
  return at::index_select(at::cat(results, 1), 1,
                          at::tensor(place, at::TensorOptions(at::kLong).device(q.device())));
}

}  // namespace

at::Tensor sdpa_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                          const at::Tensor& key_start) {
  const at::Tensor host = key_start.cpu();
  const auto* starts = host.const_data_ptr<int32_t>();
  const int64_t batch = q.size(0), entry = q.size(1) * q.size(2);
  bool entries_alike = true;
  for (int64_t b = 1; b < batch; ++b) {
    entries_alike &= std::equal(starts, starts + entry, starts + b * entry);
  }
  if (entries_alike) return attend_entry(q, k, v, key_start[0], host[0]);
  std::vector<at::Tensor> results;
  for (int64_t b = 0; b < batch; ++b) {
    results.push_back(attend_entry(q.narrow(0, b, 1), k.narrow(0, b, 1), v.narrow(0, b, 1),
                                   key_start[b], host[b]));
  }
  return at::cat(results, 0);
}

}  // namespace longspan
