#pragma once

#include "trainer/plan/plan.h"

// What the tests of plans plan for.

namespace longspan {

constexpr int64_t kMiB = 1 << 20;
constexpr int64_t kGiB = 1 << 30;

inline ModelConfig llama2_7b() {
  ModelConfig config;
  config.vocab_size = 32000;
  config.hidden_size = 4096;
  config.intermediate_size = 11008;
  config.num_hidden_layers = 32;
  config.num_attention_heads = config.num_key_value_heads = 32;
  config.head_dim = 128;
  config.rope_scaling = make_rope_scaling("default");
  return config;
}

inline RunShape shape_of(Quantization quantization = Quantization::kNf4,
                         const LoraOptions& lora = {.modules_to_save = {"norm"}}) {
  return run_shape(llama2_7b(), lora, at::kBFloat16, quantization, /*loss_chunk_tokens=*/1024,
                   /*threads=*/2);
}

inline std::vector<Stage> stages_of(int64_t seq_len, const char* pattern = "shifted_sparse") {
  return {{.steps = 10, .seq_len = seq_len, .attention = make_attention_pattern(pattern)}};
}

inline Machine machine_with(int64_t memory, std::optional<int64_t> disk = 1000 * kGiB) {
  return {.rates = {}, .available_bytes = memory, .available_disk_bytes = disk};
}

}  // namespace longspan
