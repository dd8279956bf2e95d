#include "trainer/plan/rate_samples.h"

#include <algorithm>

namespace longspan {

namespace {

constexpr int64_t kShortestMeasured = 1024;
constexpr int64_t kFewestRows = 64;

/// Forward and backward of attention at its peak: q, k, v, their gradients, the result and its
/// gradient, and float32 sums of the gradients, which count as two tensors each.
int64_t attention_bytes(const RunShape& shape, const AttentionShape& measured) {
  const int64_t heads = 6 * measured.query_heads + 8 * measured.key_value_heads;
  return shape.element_bytes() * heads * measured.rows * measured.length * shape.config.head_dim;
}

}  // namespace

SampleLimits sample_limits(at::Device device, int64_t available_bytes) {
  if (device.is_cpu()) return {};
  return {
      .attention_gflop = 50e3, .linear_gflop = 20e3, .tokens = 16384, .bytes = available_bytes / 4};
}

LinearShape measured_linear(LinearShape shape, const SampleLimits& limits, int64_t element_bytes) {
  while (shape.gflop() > limits.linear_gflop || shape.bytes(element_bytes) > limits.bytes) {
    int64_t& widest = shape.out >= shape.in ? shape.out : shape.in;
    if (widest == 1) break;
    widest = (widest + 1) / 2;
  }
  return shape;
}

AttentionShape measured_attention(const RunShape& shape, const AttentionPattern& pattern,
                                  int64_t layer, int64_t seq_len, const SampleLimits& limits) {
  const ModelConfig& c = shape.config;
  const int64_t groups = c.num_attention_heads / c.num_key_value_heads;
  AttentionShape measured{.layer = layer,
                          .rows = std::max<int64_t>(1, pattern.passage_rows()),
                          .key_value_heads = c.num_key_value_heads,
                          .query_heads = c.num_attention_heads,
                          .length = seq_len};
  const auto is_large = [&] {
    return forward_gflop(shape, pattern, measured) > limits.attention_gflop ||
           attention_bytes(shape, measured) > limits.bytes;
  };
  if (is_large()) {
    // Enough to keep every thread at work, and two, as patterns may shift half of them.
    const int64_t fewest = std::max<int64_t>(2, shape.threads);
    measured.key_value_heads = std::min(c.num_key_value_heads, fewest);
    measured.query_heads = groups * measured.key_value_heads;
  }
  while (is_large() && measured.length > kShortestMeasured) measured.length /= 2;
  return measured;
}

double forward_gflop(const RunShape& shape, const AttentionPattern& pattern,
                     const AttentionShape& measured) {
  return 4e-9 * static_cast<double>(shape.config.head_dim) *
         static_cast<double>(pattern.trained_pairs(measured.layer, measured.rows, measured.length,
                                                   measured.query_heads));
}

int64_t measured_elementwise_rows(const RunShape& shape, const SampleLimits& limits) {
  // SwiGLU's two inputs, its result, the gradients of the three, and room for one more.
  const int64_t row_bytes = 7 * shape.element_bytes() * shape.config.intermediate_size;
  int64_t rows = 2 * limits.tokens;
  while (rows > kFewestRows && rows * row_bytes > limits.bytes) rows /= 2;
  return rows;
}

}  // namespace longspan
