#pragma once

#include <string>
#include <utility>
#include <vector>

#include "src/model/causal_lm.h"
#include "src/nn/lora_options.h"

namespace longspan {

/// What no module of the model answers to: the key of LoraOptions ("target_modules"), and the name
/// with those that are known.
std::vector<std::pair<std::string, std::string>> unmatched_modules(CausalLm& model,
                                                                   const LoraOptions& options);

/// The names of the parameters that apply_lora() would let train.
std::vector<std::string> trained_parameters(CausalLm& model, const LoraOptions& options);

/// Whether apply_lora() makes it: "model.layers.0.self_attn.q_proj.lora_A.weight".
bool is_of_lora(const std::string& parameter);

/// Replaces the projections that are target_modules by LoraLinear and makes their A and B, and the
/// parameters of modules_to_save, require gradients; all else is frozen. Of LoraOptions::none all
/// parameters require gradients. A target or module that matches nothing throws Error(kRecipe).
void apply_lora(CausalLm& model, const LoraOptions& options);

}  // namespace longspan
