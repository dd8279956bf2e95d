#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/linear.h>

#include "checkpoints/hf/hf_config.h"
#include "checkpoints/model_source.h"
#include "checkpoints/safetensors_writer.h"
#include "tests/support/tiny_llama.h"

namespace longspan {

/// Writes `model` as a Hugging Face folder with a tokenizer_config.json.
inline void write_model_folder(const std::filesystem::path& folder, CausalLm& model) {
  std::filesystem::create_directories(folder);
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  model.visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
    tensors.emplace_back(name, parameter.detach());
  });
  write_safetensors(folder / "model.safetensors", tensors);
  write_json_file(folder / "config.json", write_hf_config(model.config(), model.dtype()));
  write_json_file(folder / "tokenizer_config.json", {{"model_max_length", 64}, {"x", "kept"}});
}

/// Logits [T, V] of 24 fixed ids.
inline at::Tensor logits_of(CausalLm& model) {
  at::Tensor ids = (at::arange(24, at::kLong) * 7 + 1).remainder(model.config().vocab_size);
  at::Tensor hidden = model.hidden_states({ids.unsqueeze(0), {}, {}}).squeeze(0);
  return at::linear(hidden, model.lm_head_weight()).detach();
}

}  // namespace longspan
