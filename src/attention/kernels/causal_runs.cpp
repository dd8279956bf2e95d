#include "src/attention/kernels/causal_runs.h"

#include <ATen/ops/equal.h>

#include <algorithm>
#include <utility>

namespace longspan {
namespace {

/// The runs that begin at their own query; nothing where other intervals are among them.
std::vector<Runs> runs_of(const int32_t* starts, int64_t queries) {
  std::vector<Runs> all;
  for (int64_t begin = 0; begin < queries;) {
    if (starts[begin] != begin) return {};
    int64_t end = begin + 1;
    while (end < queries && starts[end] == begin) ++end;
    if (!all.empty() && all.back().length == end - begin) {
      ++all.back().count;
    } else {
      all.push_back({.begin = begin, .length = end - begin});
    }
    begin = end;
  }
  return all;
}

/// The neighbours from `first` on that see the same.
int64_t end_of_alike(const int32_t* starts, int64_t queries, int64_t first, int64_t heads) {
  const int32_t* own = starts + first * queries;
  int64_t end = first + 1;
  while (end < heads && std::equal(own, own + queries, starts + end * queries)) ++end;
  return end;
}

}  // namespace

std::vector<AlikeHeads> alike_heads(const at::Tensor& begin) {
  const at::Tensor host = begin.cpu();
  const int64_t heads = host.size(1), queries = host.size(2);
  std::vector<AlikeHeads> all;
  for (int64_t b = 0; b < host.size(0); ++b) {
    const int32_t* starts = host.const_data_ptr<int32_t>() + b * heads * queries;
    for (int64_t first = 0; first < heads;) {
      const int64_t end = end_of_alike(starts, queries, first, heads);
      std::vector<Runs> runs = runs_of(starts + first * queries, queries);
      if (runs.empty()) return {};
      all.push_back({b, {first, end}, std::move(runs)});
      first = end;
    }
  }
  return all;
}

std::optional<int64_t> causal_window(const at::Tensor& begin, int64_t keys) {
  const at::Tensor host = begin.cpu();
  const int64_t queries = host.size(2);
  if (host.numel() == 0) return std::nullopt;
  const auto* starts = host.const_data_ptr<int32_t>();
  const int64_t window = keys - starts[queries - 1];
  for (int64_t head = 0; head < host.numel(); head += queries) {
    for (int64_t row = 0; row < queries; ++row) {
      const int64_t past = keys - queries + row + 1;
      if (starts[head + row] != std::max<int64_t>(0, past - window)) return std::nullopt;
    }
  }
  return window;
}

const CausalShape& causal_shape(const at::Tensor& begin, int64_t keys) {
  struct Answer {
    at::Tensor begin;
    int64_t version = 0, keys = 0;
    CausalShape shape;

    bool holds_for(int64_t of_keys) const {
      return begin.defined() && version == begin._version() && keys == of_keys;
    }
  };
  static thread_local Answer last;
  // A layer asks several times for one tensor, the next layer for another of the same numbers.
  if (last.holds_for(keys) && last.begin.is_same(begin)) return last.shape;
  const at::Tensor host = begin.cpu();
  const bool is_known = last.holds_for(keys) && at::equal(last.begin.cpu(), host);
  if (!is_known) {
    last.shape = {causal_window(host, keys), {}};
    if (host.size(2) == keys) last.shape.heads = alike_heads(host);
  }
  last.begin = begin;
  last.version = begin._version();
  last.keys = keys;
  return last.shape;
}

}  // namespace longspan
