#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "checkpoints/model_source.h"
#include "src/nn/lora_linear.h"

namespace longspan {

/// A PEFT adapter folder (adapter_config.json + adapter_model.safetensors), and beside them the
/// config.json of the extended model, which PEFT ignores and merge needs for the RoPE keys.
///
/// Tied embeddings: PEFT copies embed_tokens when it is in modules_to_save and leaves lm_head at
/// the base's weight, unless lm_head is saved too (or ensure_weight_tying is set, which saves
/// both). In our models a tied lm_head is embed_tokens and follows it, so write_peft_adapter saves
/// the copy under lm_head as well: every PEFT computes what we trained. Reading follows PEFT: the
/// same values in both mean tied; embed_tokens alone, or different values, untie the model.
struct PeftAdapter {
  LoraOptions lora;
  std::string base_model_name_or_path;
  /// Names as CausalLm has them ("model.layers.0.self_attn.q_proj.lora_A.weight",
  /// "model.norm.weight"), values as stored.
  std::map<std::string, at::Tensor> tensors;
  Json config_json;  // of the extended model; null when the folder has none
};

/// Reads an adapter folder, ours or PEFT's. A part we cannot honour (DoRA, rank patterns, biases,
/// another peft_type) throws Error(kModel) that names it.
PeftAdapter read_peft_adapter(const std::filesystem::path& folder);

/// Writes a folder that PeftModel.from_pretrained loads with equal logits. Files are written into
/// `folder`, which must exist.
void write_peft_adapter(const std::filesystem::path& folder, const PeftAdapter& adapter);

/// The base's config with what the adapter changes: RoPE, max_position_embeddings, and
/// tie_word_embeddings when the adapter unties lm_head.
ModelConfig adapted_config(const ModelSource& base, const PeftAdapter& adapter);

/// Base + adapter in memory, LoRA apart from the weights: import_model with adapted_config, then
/// load_peft_adapter.
std::unique_ptr<CausalLm> import_adapted_model(const ModelSource& base, const PeftAdapter& adapter,
                                               const ImportOptions& options);

/// Puts the adapter on a freshly imported base: apply_lora, then the tensors, then RoPE and
/// max_position_embeddings of its config. Tensors that fit nowhere, and an adapter that unties the
/// lm_head of this tied model, throw Error(kModel).
void load_peft_adapter(CausalLm& model, const PeftAdapter& adapter);

/// Base + adapter as one model: each tensor is W + scale B A in float32, or the saved module.
/// `base` and `adapter` must outlive it; config_json() is adapted_config's.
std::unique_ptr<ModelSource> merged_source(const ModelSource& base, const PeftAdapter& adapter);

/// base + adapter -> Hugging Face folder in the base's dtype, one tensor at a time in memory.
void merge_peft_adapter(const ModelSource& base, const PeftAdapter& adapter,
                        const std::filesystem::path& folder, int64_t shard_bytes);

}  // namespace longspan
