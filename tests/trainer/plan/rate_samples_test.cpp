#include "trainer/plan/rate_samples.h"

#include <gtest/gtest.h>

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
    const AttentionShape attention = measured_attention(shape, *full, 98304, limits);
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
  const AttentionShape attention = measured_attention(shape, *full, 98304, limits);
  EXPECT_EQ(attention.query_heads, 2);
  EXPECT_LE(forward_gflop(shape, *full, attention), 200);
}

}  // namespace
}  // namespace longspan
