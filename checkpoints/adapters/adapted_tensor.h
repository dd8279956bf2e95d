#pragma once

#include <set>

#include "checkpoints/adapters/peft_adapter.h"

namespace longspan {

/// Of a name such as "model.layers.0.self_attn.q_proj.lora_A.weight": the module
/// ("model.layers.0.self_attn.q_proj") and the part of LoRA ("lora_A.weight").
struct LoraPart {
  std::string module, part;
};

/// Nothing when `name` is no part of LoRA but a saved module's parameter.
std::optional<LoraPart> lora_part(const std::string& name);

/// What the adapter makes of the base's tensor `name`, of `rows` rows: the saved one, LoRA or DoRA
/// on a weight or an embedding, rows of its tokens, lora_bias on a bias, or `base`. lm_head, where
/// it must grow, gets the mean of its rows, as LongLoRA does; embeddings that must shrink lose
/// their last ones. Shapes that do not fit throw Error(kModel) with `place`.
at::Tensor adapted_tensor(const PeftAdapter& adapter, const std::string& name,
                          const at::Tensor& base, int64_t rows, const std::string& place);

/// Each tensor of the adapter must belong to one of `known`, the names of the base's, and have its
/// partners; what does not throws Error(kModel) with `place`.
void check_all_used(const PeftAdapter& adapter, const std::set<std::string>& known,
                    const std::string& place);

}  // namespace longspan
