#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <limits>

#include "src/attention/attention.h"
#include "trainer/plan/run_shape.h"

namespace longspan {

/// How large a piece of work may be that a rate is measured with. The defaults are those of a CPU:
/// on two cores a tenth to a third of a second with AVX-512 BF16, about five times that without.
struct SampleLimits {
  double attention_gflop = 200, linear_gflop = 60;
  int64_t tokens = 2048;                                // rows of a product
  int64_t bytes = std::numeric_limits<int64_t>::max();  // of all tensors of one measurement
};

/// A GPU's work is larger, or its rates are those of being told what to do, and stays within a
/// quarter of the memory that it can still give: other programs may use it too.
SampleLimits sample_limits(at::Device device, int64_t available_bytes);

/// Rows, in_features and out_features of a linear layer.
struct LinearShape {
  int64_t rows, in, out;

  double gflop() const { return 2e-9 * static_cast<double>(rows * in * out); }
  /// Of its input and output, the weight, and a result as large as the larger side.
  int64_t bytes(int64_t element_bytes) const {
    return element_bytes * (rows * (in + out + std::max(in, out)) + in * out);
  }
};

/// What stands for a wide layer: it with fewer features, the wider side first. A product so wide
/// runs at the same rate, and random numbers for a vocabulary of LLaMA-2-70B's width take seconds
/// alone.
LinearShape measured_linear(LinearShape shape, const SampleLimits& limits, int64_t element_bytes);

/// What stands for a stage's attention: its pattern with fewer heads, and shorter, where all of it
/// would take long or much memory.
struct AttentionShape {
  int64_t key_value_heads, query_heads, length;
};

AttentionShape measured_attention(const RunShape& shape, const AttentionPattern& pattern,
                                  int64_t seq_len, const SampleLimits& limits);

/// Of the pattern's pairs in that shape.
double forward_gflop(const RunShape& shape, const AttentionPattern& pattern,
                     const AttentionShape& measured);

/// Rows of the MLP's width that RMSNorm, SwiGLU and their like are measured with.
int64_t measured_elementwise_rows(const RunShape& shape, const SampleLimits& limits);

}  // namespace longspan
