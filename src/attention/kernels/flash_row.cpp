#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "src/attention/kernels/flash_attention.h"
#include "src/attention/kernels/flash_operands.h"
#include "src/simd/logarithms.h"
#include "src/simd/operators.h"

namespace longspan {
namespace {

/// What one task attends: some keys of a key/value head, with up to kRowHeads of its query heads.
struct RowShare {
  int64_t first_head, heads;  // of b * H + h; they see the same keys
  flash::Range keys;
};

/// The shares of all heads. A head's shares lie one behind the other.
std::vector<RowShare> shares_of(const flash::Geometry& geometry, const at::Tensor& q,
                                const at::Tensor& k, const VisibleKeys& visible) {
  const int64_t groups = q.size(1) / k.size(1);
  const auto seen = [&](int64_t head, bool of_sinks) {
    return flash::keys_seen(geometry, flash::visible_of(visible, head), of_sinks, 0, 0);
  };
  const auto alike = [&](int64_t a, int64_t b, bool of_sinks) {
    const flash::Range x = seen(a, of_sinks), y = seen(b, of_sinks);
    return x.begin == y.begin && x.end == y.end;
  };
  std::vector<RowShare> shares;
  for (int64_t head = 0; head < q.size(0) * q.size(1);) {
    const int64_t end = std::min((head / groups + 1) * groups, head + flash::kRowHeads);
    int64_t heads = 1;
    while (head + heads < end && alike(head, head + heads, false) &&
           (!visible.sinks.defined() || alike(head, head + heads, true))) {
      ++heads;
    }
    for (const bool of_sinks : {true, false}) {
      if (of_sinks && !visible.sinks.defined()) continue;
      const flash::Range all = seen(head, of_sinks);
      for (int64_t key = all.begin; key < all.end; key += flash::kRowKeys) {
        shares.push_back({head, heads, {key, std::min(key + flash::kRowKeys, all.end)}});
      }
    }
    head += heads;
  }
  return shares;
}

/// The softmax of a head from its shares: out [D] in float32, 0 without any. -> the log-sum-exp.
float merge_partials(const std::vector<const float*>& partials, int64_t head_dim, float* out) {
  float largest = -std::numeric_limits<float>::infinity(), sum = 0;
  for (const float* partial : partials) largest = std::max(largest, partial[head_dim]);
  std::fill(out, out + head_dim, 0.0f);
  for (const float* partial : partials) {
    const float factor = std::exp2(partial[head_dim] - largest);
    sum += factor * partial[head_dim + 1];
    for (int64_t d = 0; d < head_dim; ++d) out[d] += factor * partial[d];
  }
  if (sum != 0) {
    for (int64_t d = 0; d < head_dim; ++d) out[d] /= sum;
  }
  return (largest + std::log2(sum)) * kLn2;
}

}  // namespace

AttentionResult flash_row_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const VisibleKeys& visible) {
  const flash::Kernels& kernels = flash::needed_kernels_for(q);
  const flash::Geometry geometry = flash::geometry_of(q, k);
  const int64_t heads = q.size(1), groups = heads / k.size(1), head_dim = geometry.head_dim;
  const int64_t stride = flash::row_partial_floats(head_dim);
  const std::vector<RowShare> shares = shares_of(geometry, q, k, visible);
  std::vector<int64_t> place(shares.size() + 1, 0);  // of each share's first partial
  for (size_t i = 0; i < shares.size(); ++i) place[i + 1] = place[i] + shares[i].heads;
  const c10::DataPtr memory =
      c10::GetCPUAllocator()->allocate(static_cast<size_t>(place.back() * stride) * sizeof(float));
  float* partials = flash::as<float>(memory);
  flash::run_tasks(static_cast<int64_t>(shares.size()), 1, [&](int64_t i, void*) {
    const RowShare& share = shares[i];
    const int64_t b = share.first_head / heads, h = share.first_head % heads;
    kernels.row_task({.q = {flash::rows_of(q, b, h).data, q.stride(1)},
                      .k = flash::rows_of(k, b, h / groups),
                      .v = flash::rows_of(v, b, h / groups),
                      .keys = share.keys,
                      .heads = share.heads,
                      .head_dim = head_dim,
                      .scale = geometry.scale,
                      .partial = partials + place[i] * stride});
  });
  std::vector<std::vector<const float*>> of_head(static_cast<size_t>(q.size(0) * heads));
  for (size_t i = 0; i < shares.size(); ++i) {
    for (int64_t j = 0; j < shares[i].heads; ++j) {
      of_head[shares[i].first_head + j].push_back(partials + (place[i] + j) * stride);
    }
  }
  const at::Tensor out = at::empty(q.sizes(), q.options().dtype(at::kFloat));
  AttentionResult result{time_major_like(q),
                         at::empty({q.size(0), heads, 1}, q.options().dtype(at::kFloat))};
  for (size_t head = 0; head < of_head.size(); ++head) {
    result.log_sum_exp.mutable_data_ptr<float>()[head] =
        merge_partials(of_head[head], head_dim, out.mutable_data_ptr<float>() + head * head_dim);
  }
  result.out.copy_(out);
  return result;
}

}  // namespace longspan
