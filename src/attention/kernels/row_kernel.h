#pragma once

#include "src/attention/kernels/flash_kernels.h"
#include "src/attention/kernels/pack_kernel.h"
#include "src/simd/logarithms.h"

// Attention of one query row a head, as a token that is decoded has it: keys and values are read
// where they lie, since packing them costs more than the one product that would use the pack.

namespace longspan::flash {
namespace {

/// scores[key] = scale * log2(e) * q . k for the keys of `keys`, of which there are at least one;
/// the scores up to a whole vector repeat the last. -> their maximum.
template <class K>
float score_keys(const typename K::Element* q, Rows k, Range keys, int64_t head_dim, float scale,
                 float* scores) {
  constexpr int64_t lanes = K::kLanes;
  const int64_t pairs = head_dim / K::kPair;
  const auto factor = K::all(scale * kLog2E);
  auto largest = K::all(-__builtin_huge_valf());
  for (int64_t first = keys.begin; first < keys.end; first += lanes) {
    typename K::Vector sum[lanes];
    for (int64_t i = 0; i < lanes; ++i) {
      const auto* row = row_of<K>(k, min_of(first + i, keys.end - 1));
      sum[i] = K::zero();
      for (int64_t pair = 0; pair < pairs; pair += lanes) {
        const int64_t count = min_of(lanes, pairs - pair);
        sum[i] = K::add_product(sum[i], K::load_operand(q + K::kPair * pair, count),
                                K::load_operand(row + K::kPair * pair, count));
      }
    }
    K::transpose(sum);
    for (int64_t width = lanes / 2; width > 0; width /= 2) {
      for (int64_t i = 0; i < width; ++i) sum[i] = K::add(sum[i], sum[i + width]);
    }
    const auto score = K::multiply(sum[0], factor);
    largest = K::maximum(largest, score);
    K::store(scores + (first - keys.begin), score);
  }
  return K::maximum(largest);
}

/// scores = 2^(scores - largest). -> the sum of the first `count`.
template <class K>
float weigh_keys(float* scores, int64_t count, float largest) {
  const auto shift = K::all(largest);
  auto sum = K::zero();
  for (int64_t i = 0; i < count; i += K::kLanes) {
    const auto weight = K::exp2(K::subtract(K::load(scores + i), shift));
    sum = K::add(sum, K::keep(K::lanes(0, count - i), weight));
    K::store(scores + i, weight);
  }
  return K::sum(sum);
}

/// out[head][d] = the sum over the keys of weights[head][key] * v[key][d], for kHeads heads and
/// kVectors vectors of d.
template <class K, int kHeads, int kVectors>
void sum_values(const float* weights, Rows v, Range keys, int64_t d, float* out, int64_t stride) {
  typename K::Vector sum[kHeads][kVectors];
  for (int h = 0; h < kHeads; ++h) {
    for (int n = 0; n < kVectors; ++n) sum[h][n] = K::zero();
  }
  for (int64_t key = keys.begin; key < keys.end; ++key) {
    const auto* row = row_of<K>(v, key) + d;
    typename K::Vector value[kVectors];
#pragma GCC unroll 4
    for (int n = 0; n < kVectors; ++n) value[n] = K::load(row + n * K::kLanes);
#pragma GCC unroll 4
    for (int h = 0; h < kHeads; ++h) {
      const auto weight = K::all(weights[h * kRowKeys + key - keys.begin]);
#pragma GCC unroll 4
      for (int n = 0; n < kVectors; ++n) sum[h][n] = K::multiply_add(weight, value[n], sum[h][n]);
    }
  }
  for (int h = 0; h < kHeads; ++h) {
    for (int n = 0; n < kVectors; ++n) K::store(out + h * stride + d + n * K::kLanes, sum[h][n]);
  }
}

template <class K, int kHeads>
void sum_values(const float* weights, Rows v, Range keys, int64_t head_dim, float* out,
                int64_t stride) {
  constexpr int kVectors = 4;
  int64_t d = 0;
  for (; d + kVectors * K::kLanes <= head_dim; d += kVectors * K::kLanes) {
    sum_values<K, kHeads, kVectors>(weights, v, keys, d, out, stride);
  }
  for (; d < head_dim; d += K::kLanes) {
    sum_values<K, kHeads, 1>(weights, v, keys, d, out, stride);
  }
}

template <class K>
void row_task(const RowTask& task) {
  const int64_t stride = row_partial_floats(task.head_dim);
  const int64_t count = task.keys.end - task.keys.begin;
  alignas(64) float weights[kRowHeads * kRowKeys];
  for (int64_t h = 0; h < task.heads; ++h) {
    float* of_head = weights + h * kRowKeys;
    float* partial = task.partial + h * stride;
    const float largest =
        score_keys<K>(row_of<K>(task.q, h), task.k, task.keys, task.head_dim, task.scale, of_head);
    partial[task.head_dim] = largest;
    partial[task.head_dim + 1] = weigh_keys<K>(of_head, count, largest);
  }
  switch (task.heads) {
    case 1:
      return sum_values<K, 1>(weights, task.v, task.keys, task.head_dim, task.partial, stride);
    case 2:
      return sum_values<K, 2>(weights, task.v, task.keys, task.head_dim, task.partial, stride);
    case 3:
      return sum_values<K, 3>(weights, task.v, task.keys, task.head_dim, task.partial, stride);
    default:
      return sum_values<K, 4>(weights, task.v, task.keys, task.head_dim, task.partial, stride);
  }
}

}  // namespace
}  // namespace longspan::flash
