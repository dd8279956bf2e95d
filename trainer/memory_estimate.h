#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/model/model_config.h"
#include "src/nn/lora_linear.h"
#include "trainer/stage.h"
#include "trainer/trainer_options.h"

namespace longspan {

/// Bytes a run needs at its peak, by what they are for. A rough figure (a quarter off is normal),
/// meant to refuse a run that will be killed after an hour.
struct MemoryEstimate {
  int64_t weights = 0;
  int64_t trainable = 0;  // masters, two moments, gradient sums: 16 a parameter, and its gradient
  int64_t layer_inputs = 0;  // kept for backward, one a layer
  int64_t activations = 0;   // of one layer with recompute, else of all
  int64_t loss = 0;          // logits of one chunk, gradients of the hidden states
  int64_t program = 0;       // LibTorch itself

  int64_t total() const {
    return weights + trainable + layer_inputs + activations + loss + program;
  }
  std::string to_string() const;
};

/// For the costliest stage. `dtype_bytes` is that of the weights.
MemoryEstimate estimate_memory(const ModelConfig& config, const LoraOptions& lora,
                               const std::vector<Stage>& stages, const TrainerOptions& options,
                               int64_t dtype_bytes);

/// Throws Error(kOutOfMemory) with the figures and what to turn when `estimate` is more than
/// `available` bytes (0: unknown, no check).
void require_memory(const MemoryEstimate& estimate, int64_t available);

}  // namespace longspan
