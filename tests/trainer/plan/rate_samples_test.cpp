#include "trainer/plan/rate_samples.h"

#include <gtest/gtest.h>

#include "src/attention/focused_memory.h"

namespace longspan {
namespace {

constexpr int64_t kMeasuredGiB = int64_t{1} << 30;

/// LLaMA-2-7B's.
RunShape wide_shape(at::Device device) {
  RunShape shape;
  shape.config.hidden_size = 4096;
  shape.config.intermediate_size = 11008;
  shape.config.vocab_size = 32000;
  shape.config.head_dim = 128;
  shape.config.num_attention_heads = shape.config.num_key_value_heads = 32;
  shape.device = device;
  shape.threads = 2;
  return shape;
}

TEST(RateSamples, OnAGpuStayWithinAQuarterOfWhatItCanGive) {
  const RunShape shape = wide_shape(at::kCUDA);
  const auto full = make_attention_pattern("full");
  for (int64_t free : {2 * kMeasuredGiB, 8 * kMeasuredGiB, 80 * kMeasuredGiB}) {
    const SampleLimits limits = sample_limits(shape.device, free);
    EXPECT_EQ(limits.bytes, free / 4);
    const LinearShape linear = measured_linear({limits.tokens, 4096, 11008}, limits, 2);
    EXPECT_LE(2 * (linear.rows * (linear.in + linear.out) + linear.in * linear.out), free / 4);
    const LinearShape head = measured_linear({512, 8192, 128256}, limits, 2);
    EXPECT_LE(2 * head.in * head.out, free / 4);
    const int64_t rows = measured_elementwise_rows(shape, limits);
    EXPECT_LE(6 * 2 * rows * 11008, free / 4);
    const AttentionShape attention = measured_attention(shape, *full, 0, 98304, limits);
    EXPECT_LE(8 * 2 * attention.query_heads * attention.length * 128, free / 4);
    EXPECT_GE(attention.length, 1024);
  }
}

TEST(RateSamples, OnALargeGpuAreAsLargeAsItsRatesNeed) {
  const RunShape shape = wide_shape(at::kCUDA);
  const SampleLimits limits = sample_limits(shape.device, 80 * kMeasuredGiB);
  EXPECT_EQ(measured_elementwise_rows(shape, limits), 32768);
  const LinearShape linear = measured_linear({16384, 4096, 11008}, limits, 2);
  EXPECT_EQ(linear.in, 4096);
  EXPECT_EQ(linear.out, 11008);
}

TEST(RateSamples, OnACpuAreBoundedByTimeAlone) {
  const RunShape shape = wide_shape(at::kCPU);
  const SampleLimits limits = sample_limits(shape.device, 0);  // a CPU's memory is not asked
  const LinearShape linear = measured_linear({2048, 4096, 11008}, limits, 2);
  EXPECT_LE(linear.gflop(), 60);
  EXPECT_GT(linear.gflop(), 15);
  EXPECT_EQ(measured_elementwise_rows(shape, limits), 4096);
  const auto full = make_attention_pattern("full");
  const AttentionShape attention = measured_attention(shape, *full, 0, 98304, limits);
  EXPECT_EQ(attention.query_heads, 2);
  EXPECT_LE(forward_gflop(shape, *full, attention), 200);
}

// A document of LongLLaMA-3B's schedule: windows of 2,048 that attend to themselves, and in memory
// layers to 0, 1, 2 and 3 before.
TEST(RateSamples, OfAMemoryLayerAreADocumentInWindows) {
  const RunShape shape = wide_shape(at::kCPU);
  FocusedMemoryOptions options;
  options.mem_layers = {1};
  const FocusedMemoryAttention pattern(options);
  for (const int64_t layer : {0, 1}) {
    const AttentionShape attention =
        measured_attention(shape, pattern, layer, 2048, {.attention_gflop = 1e9});
    EXPECT_EQ(attention.rows, 4);
    EXPECT_EQ(attention.length, 2048);
    const double before = layer == 1 ? 6 * 2048.0 * 2048 : 0;
    EXPECT_DOUBLE_EQ(forward_gflop(shape, pattern, attention),
                     4e-9 * 128 * 32 * (4 * 2048.0 * 2049 / 2 + before));
  }
}

}  // namespace
}  // namespace longspan
