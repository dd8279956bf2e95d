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

/// config.json <-> ModelConfig. Reads both RoPE styles (rope_theta + rope_scaling, and
/// rope_parameters) and writes both; missing, unsupported or contradictory keys throw Error(kModel)
/// that lists them all.
ModelConfig read_hf_config(const Json& config_json, const std::string& place);
ModelConfig read_hf_config(const ModelSource& source);
Json write_hf_config(const ModelConfig& config, at::ScalarType dtype);

struct ImportOptions {
  at::ScalarType dtype = at::kBFloat16;
  bool check_finite = true;  // NaN or infinite weights throw Error(kModel) with the tensor's name
  /// Of the projections' weights; embeddings, norms, biases and lm_head stay dense, as
  /// bitsandbytes leaves them. Merging never looks at it: it adds to the weights of the file.
  Quantization quantization = Quantization::kNone;
};

/// Builds the model and loads each parameter. Missing, surplus or misshapen tensors throw
/// Error(kModel) that lists them. Parameters already of options.dtype are views of the file, whose
/// pages come into memory when they are used: apply_lora clones those it makes trainable. Quantised
/// ones are made tensor by tensor from the value rounded to options.dtype.
std::unique_ptr<CausalLm> import_model(const ModelSource& source, const ImportOptions& options);

/// The same with a config other than the source's (its RoPE, or lm_head untied: then lm_head begins
/// as embed_tokens).
std::unique_ptr<CausalLm> import_model(const ModelSource& source, const ModelConfig& config,
                                       const ImportOptions& options);

/// Throws Error(kModel) that lists the tensors which are missing, surplus, misshapen or of integers
/// in a model of `config`, or which say that its embeddings are not tied when it does.
void require_fitting_tensors(const ModelSource& source, const ModelConfig& config);

/// Throws Error(kModel) naming place and tensor when a value is NaN or infinite.
void check_finite(const at::Tensor& tensor, const std::string& name, const std::string& place);

}  // namespace longspan
