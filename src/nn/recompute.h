#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "src/attention/kernels/interval_attention.h"

namespace longspan {

class ActivationStore;
class Linear;
class WeightResidency;

/// A part of a decoder layer with its residual: y = x + linear(body(x)), or y = x + body(x) where
/// `linear` is null. x and y are [B, T, C].
struct ResidualBlock {
  /// Must stay callable, and give the same result, until backward is done. A body that attends
  /// hands `kept`, which may be null, to interval_attention.
  std::function<at::Tensor(const at::Tensor& x, AttentionResult* kept)> body;
  const Linear* linear = nullptr;
  /// How many tokens the body, which then works token by token, gets at once; 0: all. Gradients are
  /// summed over the chunks in float32 (GradientSums).
  int64_t chunk_tokens = 0;
  /// The parameters of body and linear that require gradients.
  std::vector<at::Tensor> trained;
};

/// What a layer keeps between forward and backward (Chen et al. 2016, arXiv 1604.06174).
enum class Recompute {
  kNone,               // keeps all that autograd wants
  kSelective,          // keeps each block's input and attention's result (Korthikanti et al. 2022)
  kSelectivePlusPlus,  // the layer's input and attention's result (Selective-Checkpoint++ of Gu et
                       // al. 2024, arXiv 2406.18485)
  kLayer,              // keeps the layer's input alone
};

/// What the layers keep of their activations, and where.
struct RecomputeOptions {
  Recompute what = Recompute::kNone;
  /// The first so many layers do that, the others what `rest` says: their backward comes first.
  size_t num_layers = std::numeric_limits<size_t>::max();
  Recompute rest = Recompute::kNone;
  std::shared_ptr<ActivationStore> store =
      {};  // takes the kept tensors; null: they stay as they are
  std::shared_ptr<WeightResidency> residency =
      {};  // hears of each use of a layer's weights; or null
};

/// Runs the blocks one after another. Backward computes each body again once, with gradients, and
/// gives the parameters theirs. The linear of a block runs again only where the next block's input
/// was not kept, as its gradient does not need its output. A block in chunks runs twice there.
/// Nothing is kept of blocks without a gradient to give: all without gradient mode, and those
/// before the first trained parameter where the input needs none. `layer` is the number that the
/// residency knows.
at::Tensor run_layer(std::vector<ResidualBlock> blocks, const at::Tensor& input,
                     const RecomputeOptions& options, size_t layer);

}  // namespace longspan
