#pragma once

#include "tests/support/tiny_llama.h"
#include "trainer/plan/plan_memory.h"

// The smallest run that is planned: tiny_llama with an adapter of q_proj.

namespace longspan {

inline const LoraOptions kAttentionOnly{
    .r = 4, .target_modules = {"q_proj"}, .modules_to_save = {"norm"}};

inline RunShape tiny_shape(const LoraOptions& lora = kAttentionOnly,
                           Quantization quantization = Quantization::kNone) {
  return run_shape(tiny_llama_config(), lora, at::kBFloat16, quantization, 1024, 2);
}

inline Stage tiny_stage(int64_t seq_len) {
  return {.steps = 1, .seq_len = seq_len, .attention = make_attention_pattern("full")};
}

inline MemoryOptions recomputing(Recompute recompute) {
  MemoryOptions memory = default_memory_options();
  memory.recompute = recompute;
  return memory;
}

/// Layer by layer, with more RAM than the run can fill.
inline MemoryOptions offloading_to_ram() {
  MemoryOptions memory = recomputing(Recompute::kLayer);
  memory.offload = Offload::kRam;
  memory.offload_ram = int64_t{1} << 40;
  return memory;
}

}  // namespace longspan
