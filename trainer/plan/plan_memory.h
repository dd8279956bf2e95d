#pragma once

#include <cstdint>

#include "trainer/memory_options.h"
#include "trainer/plan/run_shape.h"
#include "trainer/stage.h"

namespace longspan {

/// Bytes of the device at the peak, by what they are for, and of the file on disk.
struct MemoryPlan {
  int64_t program = 0;    // LibTorch and the binary; on a GPU what its libraries take of it
  int64_t weights = 0;    // frozen
  int64_t trained = 0;    // parameters, float32 masters, moments, gradient sums of earlier passes
  int64_t kept = 0;       // between forward and backward, in RAM
  int64_t stored = 0;     // of it, what an ActivationStore holds: in RAM, also of a GPU's run
  int64_t working = 0;    // on top of these, the largest of what follows
  int64_t attention = 0;  // backward of an attention block
  int64_t mlp = 0;        // backward of an MLP block, or of a chunk of it
  int64_t loss = 0;       // final norm and cross entropy
  int64_t update = 0;     // gradients when backward has freed what was kept
  int64_t disk = 0;       // of what is kept

  int64_t total() const { return program + weights + trained + kept + working; }
};

/// One pass of `stage` with flash attention kernels (src/attention/kernels); nothing in `memory`
/// may be "auto". LoRA is counted, what DoRA adds to it is not. On a GPU attention is counted as
/// bfloat16's under full or shifted sparse attention: the masks of windows, and what is computed
/// again because they keep nothing, are not. Follows the tensors that
/// src/nn/recompute.cpp, src/model/decoder.cpp, src/attention/kernels/flash_*.cpp,
/// chunked_cross_entropy.cpp and trainer/optimizer/adamw.cpp allocate, and must change with them.
MemoryPlan plan_memory(const RunShape& shape, const Stage& stage, const MemoryOptions& memory);

}  // namespace longspan
