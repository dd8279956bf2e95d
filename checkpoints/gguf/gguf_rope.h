#pragma once

#include "checkpoints/gguf/gguf.h"
#include "checkpoints/gguf/gguf_architecture.h"
#include "checkpoints/gguf/gguf_writer.h"
#include "src/model/model_config.h"

namespace longspan {

/// The rope_scaling entry of config.json that the keys and tensors of a GGUF state; null when RoPE
/// is not scaled. Frequency divisors (the tensor rope_freqs) become llama3 or linear where one of
/// these explains them all, else longrope with the same factors at every length, which is exact.
/// A scaling that config.json cannot state throws Error(kModel).
Json gguf_rope_scaling(const GgufReader& gguf, const GgufArchitecture& architecture,
                       const RopeGeometry& geometry);

/// rope_freqs.weight, or LongRoPE's rope_factors_long.weight or rope_factors_short.weight.
struct GgufRopeTensor {
  std::string name;
  std::vector<float> values;  // what each frequency is divided by
};

/// Sets the keys rope.* so that llama.cpp computes the config's RoPE, and returns the tensors that
/// it takes beside them. llama.cpp reads neither YaRN's betas nor its attention_factor in these
/// architectures: what differs from its own is stated by divisors and rope.scaling.attn_factor, and
/// where it has no divisors Error(kModel) says so. So for dynamic NTK.
std::vector<GgufRopeTensor> write_gguf_rope(const ModelConfig& config,
                                            const GgufArchitecture& architecture,
                                            GgufMetadata& metadata);

}  // namespace longspan
