#pragma once

#include <cstdint>

#include "trainer/memory_options.h"
#include "trainer/plan/run_shape.h"
#include "trainer/stage.h"

namespace longspan {

/// Bytes at the peak of a step: of the device, by what they are for, and of the file on disk.
struct MemoryPlan {
  int64_t program = 0;     // LibTorch and the binary, or what CUDA's libraries take of a GPU
  int64_t weights = 0;     // frozen weights
  int64_t trained = 0;     // parameters, float32 masters, moments, gradient sums of earlier passes
  int64_t kept = 0;        // activations that wait in RAM from forward to backward
  int64_t stored = 0;      // the part of `kept` that an ActivationStore holds, in RAM for a GPU too
  int64_t working = 0;     // the largest of the moments below, beyond what is kept
  int64_t attention = 0;   // what the backward of an attention block has beyond `kept`
  int64_t mlp = 0;         // what the backward of an MLP block, or of a chunk of it, has beyond it
  int64_t loss = 0;        // what the final norm and cross entropy allocate
  int64_t update = 0;      // gradients, once backward has freed what was kept
  int64_t validation = 0;  // what a validation's forward pass allocates, when nothing is kept
  int64_t disk = 0;        // activations in the file

  int64_t total() const { return program + weights + trained + kept + working; }
};

/// Counts one pass of `stage` with flash attention kernels (src/attention/kernels). Nothing in
/// `memory` may be "auto". Layers are counted by layer_memory.h, and what they store by
/// stored_tensors.h; the rest follows the tensors that chunked_cross_entropy.cpp and
/// trainer/optimizer/adamw.cpp allocate, and must change with them. It leaves out the sinks of
/// sliding windows, and on a GPU the masks of these and the scores that focused memory makes.
MemoryPlan plan_memory(const RunShape& shape, const Stage& stage, const MemoryOptions& memory);

}  // namespace longspan
