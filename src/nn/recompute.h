#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "src/attention/kernels/causal_attention.h"

namespace longspan {

class ActivationStore;
class Linear;
class WeightResidency;

/// A part of a decoder layer with its residual: y = x + linear(body(x)), or y = x + body(x) without
/// a linear. x and y [B, T, C].
struct ResidualBlock {
  /// Must stay callable, and give the same result, until backward is done. Where it attends it
  /// hands `kept` (which may be null) to causal_attention.
  std::function<at::Tensor(const at::Tensor& x, KeptAttention* kept)> body;
  const Linear* linear = nullptr;
  /// The body works token by token: at most this many at once. 0: all.
  int64_t chunk_tokens = 0;
  /// Of body and linear, those that require gradients; needed with chunks.
  std::vector<at::Tensor> trained;
};

/// What a layer keeps between forward and backward (Chen et al. 2016, arXiv 1604.06174).
enum class Recompute {
  kNone,       // all that autograd wants
  kSelective,  // each block's input, and what attention computed (Korthikanti et al. 2022)
  kLayer,      // the layer's input alone
};

struct RecomputeOptions {
  Recompute what = Recompute::kNone;
  /// Of the first so many layers; the others, whose backward comes first, keep all.
  size_t num_layers = std::numeric_limits<size_t>::max();
  std::shared_ptr<ActivationStore> store =
      {};  // where kept tensors go; null: they stay as they are
  std::shared_ptr<WeightResidency> residency =
      {};  // told of each use of the layer's weights; or null
};

/// The blocks one after another. Backward computes each body again with gradients, but no linear:
/// its output is not needed for its gradient. Parameters inside receive their gradients there.
/// Without gradient mode nothing is kept. `layer` is the number that the residency knows.
at::Tensor run_layer(std::vector<ResidualBlock> blocks, const at::Tensor& x,
                     const RecomputeOptions& options, size_t layer);

}  // namespace longspan
