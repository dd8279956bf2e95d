#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "checkpoints/model_source.h"
#include "checkpoints/tensor_diff.h"
#include "data/tokenizers/tokenizer.h"

namespace longspan {

/// A checkpoint of any kind as diff sees it: tensors, config and tokenizer.
struct CheckpointView {
  std::filesystem::path path;
  std::string kind;  // "huggingface", "meta", "gguf", "adapter", "safetensors", "bin", "pt", "pth"
  TensorSet tensors;
  Json config;                       // config.json; of an adapter {adapter_config, config}
  std::optional<ModelConfig> model;  // the config as read, where it is a model's
  std::unique_ptr<Tokenizer> tokenizer;
  std::string no_tokenizer;  // why there is none
  Json added_tokens;         // of tokenizer.json: [{id, content, ...}]
};

/// Opens a model (folder, GGUF, hub id), an adapter folder, a run folder (its newest checkpoint) or
/// a bare .safetensors, .bin, .pt or .pth file. Throws Error(kModel).
CheckpointView open_checkpoint_view(const std::filesystem::path& path);

}  // namespace longspan
