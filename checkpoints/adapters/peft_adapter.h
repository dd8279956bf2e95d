#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "checkpoints/model_source.h"
#include "src/nn/lora_options.h"

namespace longspan {

/// A PEFT adapter folder (adapter_config.json, and adapter_model.safetensors or .bin), and beside
/// them the config.json of the extended model, which PEFT ignores and merge needs for the RoPE
/// keys; of a quantised base's config.json no more is taken. LoRA, rsLoRA and DoRA on projections,
/// embed_tokens and lm_head, biases, modules_to_save, and rows of the embeddings
/// (trainable_token_indices, also alone as peft_type TRAINABLE_TOKENS).
///
/// A base whose vocabulary was resized before training: PEFT saves all embeddings then, and the
/// vocabulary is as large as they are, more or fewer than the base's.
///
/// Tied embeddings: PEFT copies embed_tokens when it is in modules_to_save and leaves lm_head at
/// the base's weight, unless lm_head is saved too (or ensure_weight_tying is set, which saves
/// both). In our models a tied lm_head is embed_tokens and follows it, so write_peft_adapter saves
/// the copy under lm_head as well: every PEFT computes what we trained. Reading follows PEFT: the
/// same values in both mean tied; embed_tokens alone, or different values, untie the model.
///
/// LongLoRA's released form is the same with trainable_params.bin beside: embeddings and norms,
/// which replace the base's before LoRA is put on (a tied lm_head follows), more rows than the base
/// has where [PAD] was added, and RoPE scaled linearly to the length it was trained for.
struct PeftAdapter {
  LoraOptions lora;
  std::string base_model_name_or_path;
  /// Names as CausalLm has them ("model.layers.0.self_attn.q_proj.lora_A.weight",
  /// "model.norm.weight"), values as stored.
  std::map<std::string, at::Tensor> tensors;
  /// PEFT's trainable_token_indices: the rows of a module that its "trainable_tokens_delta" holds.
  std::map<std::string, std::vector<int64_t>> trainable_tokens;
  Json config_json;  // of the extended model; null when the folder has none
  /// The length it was trained for, where it is in LongLoRA's form and without a config.json.
  std::optional<int64_t> longlora_context;
  bool is_longlora = false;
  std::filesystem::path folder;  // that it was read from; "" for one made in memory
};

/// Reads an adapter folder, ours, PEFT's or LongLoRA's, or a hub id of one (see find_model), or a
/// checkpoint that is a whole model (whole_model.h). What we cannot honour throws Error(kModel)
/// that names the key.
PeftAdapter read_peft_adapter(const std::filesystem::path& folder);

/// adapter_model.safetensors or adapter_model.bin of the folder. Throws Error(kModel) without one.
std::filesystem::path adapter_weights(const std::filesystem::path& folder);

/// Writes a folder that PeftModel.from_pretrained loads with equal logits. Files are written into
/// `folder`, which must exist.
void write_peft_adapter(const std::filesystem::path& folder, const PeftAdapter& adapter);

}  // namespace longspan
