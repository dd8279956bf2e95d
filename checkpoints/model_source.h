#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "checkpoints/safetensors.h"
#include "src/core/json.h"
#include "src/model/causal_lm.h"

namespace longspan {

/// A model on disk, whatever its format: a Hugging Face folder (safetensors or PyTorch), one in
/// Meta's own layout, or a GGUF file. Tensor names, shapes and row order are Hugging Face's in all.
class ModelSource {
 public:
  virtual ~ModelSource() = default;
  virtual std::filesystem::path path() const = 0;
  /// The path, or all files where it is one of several parts.
  virtual std::vector<std::filesystem::path> files() const { return {path()}; }
  virtual std::string format() const = 0;   // "huggingface", "meta", "gguf"
  virtual Json config_json() const = 0;     // as in config.json
  virtual Json tokenizer_json() const = 0;  // as in tokenizer.json; null when there is none
  /// tokenizer.json, tokenizer_config.json, generation_config.json and the like, as (file name,
  /// content): what an export copies.
  virtual std::vector<std::pair<std::string, std::string>> side_files() const = 0;
  /// One of the side files, parsed; null when there is none of that name.
  Json side_json(std::string_view name) const;
  virtual std::vector<TensorInfo> tensors() const = 0;
  /// In the stored dtype; quantised GGUF blocks come as float32. May be a read-only view of the
  /// file: clone() before writing to it.
  virtual at::Tensor tensor(const std::string& name) const = 0;
  /// Equal before and after, the files that it reads have not been changed; see file_stamps.
  virtual Json stamps() const;
};

/// Opens a folder of either layout, a .gguf file, one file of weights beside its config.json, or a
/// hub id "ORG/NAME" or "ORG/NAME@REVISION" from the local Hugging Face cache (see hub_cache.h).
/// Throws Error(kModel) naming what is missing or damaged.
std::unique_ptr<ModelSource> open_model_source(const std::filesystem::path& path);

/// The dtype of most of the weights; bfloat16 for quantised ones.
at::ScalarType main_dtype(const ModelSource& source);

}  // namespace longspan
