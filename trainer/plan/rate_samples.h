#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <limits>

#include "src/attention/attention.h"
#include "trainer/plan/run_shape.h"

namespace longspan {

/// How large a piece of work may be that a rate is measured with. The defaults suit a CPU, where
/// each piece takes a tenth of a second to a few seconds.
struct SampleLimits {
  double attention_gflop = 200, linear_gflop = 60;
  int64_t tokens = 2048;                                // rows of a product
  int64_t bytes = std::numeric_limits<int64_t>::max();  // of all tensors of one measurement
};

/// The limits of a device. A GPU gets more work, or it would be measured how fast it is told what
/// to do. Its tensors stay within a quarter of the memory it can still give: others may use it too.
SampleLimits sample_limits(at::Device device, int64_t available_bytes);

/// Rows, in_features and out_features of a linear layer.
struct LinearShape {
  int64_t rows, in, out;

  double gflop() const { return 2e-9 * static_cast<double>(rows * in * out); }
  /// Holds its input and output, the weight, and a result as large as the larger side.
  int64_t bytes(int64_t element_bytes) const {
    return element_bytes * (rows * (in + out + std::max(in, out)) + in * out);
  }
};

/// A layer that stands for `shape`: where that is too large, with fewer features, the wider side
/// first. So wide a product runs at the same rate, and random numbers for a vocabulary of
/// LLaMA-2-70B's width take seconds alone.
LinearShape measured_linear(LinearShape shape, const SampleLimits& limits, int64_t element_bytes);

struct AttentionShape {
  int64_t layer, rows, key_value_heads, query_heads, length;
};

/// Attention that stands for that of `layer` in a stage: a row, or as many as its pattern wants
/// side by side; with fewer heads, then shorter, where all of it would take long or much memory.
AttentionShape measured_attention(const RunShape& shape, const AttentionPattern& pattern,
                                  int64_t layer, int64_t seq_len, const SampleLimits& limits);

/// What a forward pass over the pairs that the pattern trains takes in that shape.
double forward_gflop(const RunShape& shape, const AttentionPattern& pattern,
                     const AttentionShape& measured);

/// Rows of the MLP's width that RMSNorm, SwiGLU and their like are measured with.
int64_t measured_elementwise_rows(const RunShape& shape, const SampleLimits& limits);

}  // namespace longspan
