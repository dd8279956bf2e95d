#pragma once

#include <cstdint>

#include "trainer/loss_weights.h"
#include "trainer/memory_options.h"
#include "trainer/optimizer/adamw.h"
#include "trainer/optimizer/learning_rate.h"

namespace longspan {

struct TrainerOptions {
  AdamWOptions optimizer = {};
  LearningRateOptions lr_schedule = {};
  MemoryOptions memory = {};
  LossOptions loss = {};
  double max_grad_norm = 1.0;       // gradients are scaled down to it; 0: never
  int64_t loss_chunk_tokens = 512;  // rows of logits that exist at a time
  uint64_t seed = 0;                // of LoRA's start and of the order of the data
  int64_t threads = 0;              // 0: LibTorch's choice, one a core
  bool deterministic = false;       // a GPU gives the same bits each time
  bool interleave = false;          // stages take turns step by step; see steps_by_stage
};

/// The keys of a recipe's `train` map that hold for all stages.
void fields(FieldsIo& io, TrainerOptions& options);

}  // namespace longspan
