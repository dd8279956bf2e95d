#pragma once

#include "trainer/memory_options.h"
#include "trainer/plan/kernel_rates.h"
#include "trainer/plan/plan_memory.h"

namespace longspan {

/// Seconds of one update, by what they go into.
struct TimePlan {
  double linears_forward = 0, linears_recomputed = 0, linears_backward = 0;
  double attention_forward = 0, attention_recomputed = 0, attention_backward = 0;
  double head = 0;         // logits, cross entropy and its gradients
  double elementwise = 0;  // norms, SwiGLU, rotation, residuals, low-rank parts, dequantisation
  double optimizer = 0;
  double host_copy = 0;  // waits for copies from a GPU to RAM and back, beyond what computing hides
  double disk = 0;       // waits for the disk, beyond what computing hides

  double total() const {
    return linears_forward + linears_recomputed + linears_backward + attention_forward +
           attention_recomputed + attention_backward + head + elementwise + optimizer + host_copy +
           disk;
  }
};

/// Nothing in `memory` may be "auto"; `planned` is plan_memory() of the same arguments. What a
/// GPU's run offloads is copied to RAM while it computes forward, and back while it computes
/// backward.
TimePlan plan_time(const RunShape& shape, const Stage& stage, const MemoryOptions& memory,
                   const MemoryPlan& planned, const KernelRates& rates);

}  // namespace longspan
