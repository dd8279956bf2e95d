#include "checkpoints/gguf/gguf_exporter.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <charconv>

#include "checkpoints/dtype.h"
#include "checkpoints/gguf/gguf_config.h"
#include "checkpoints/gguf/gguf_vocabulary.h"
#include "checkpoints/gguf/gguf_writer.h"
#include "checkpoints/half_split_rows.h"
#include "checkpoints/hf/hf_importer.h"
#include "checkpoints/tensor_names.h"
#include "checkpoints/write_progress.h"
#include "src/core/atomic_file.h"
#include "src/core/disk_space.h"
#include "src/core/utf8.h"

namespace longspan {

namespace {

/// A tensor of the source and where it goes.
struct Planned {
  std::string hugging_face_name;
  GgufTensorPlan plan;
};

/// "blk.12.attn_q.weight" -> 12; before and behind the layers -1 and the most there is.
int64_t blk_layer(const std::string& name) {
  if (name.starts_with("output")) return INT64_MAX;
  int64_t layer = -1;
  if (name.starts_with("blk.")) {
    std::from_chars(name.data() + 4, name.data() + name.size(), layer);
  }
  return layer;
}

GgufModelShape shape_of(const ModelConfig& config, bool tied) {
  bool wide =
      config.num_hidden_layers == 80 &&
      (config.model_type == "qwen2" || config.num_attention_heads != config.num_key_value_heads);
  bool named = config.model_type == "llama" || config.model_type == "mistral" ||
               config.model_type == "qwen2";
  return {config.num_hidden_layers, tied, wide && named};
}

/// The tensors in the order of the layers.
std::vector<Planned> plan_tensors(const ModelSource& source, const ModelConfig& config,
                                  const GgufArchitecture& architecture,
                                  const GgufFileType& file_type) {
  std::vector<Planned> planned;
  bool tied = true;
  for (const auto& info : source.tensors()) {
    if (is_redundant(info.name, config.tie_word_embeddings)) continue;
    std::string name = architecture.gguf_name(info.name);
    if (name.empty()) {
      fail(ExitCode::kModel, "{}: tensor '{}' has no place in a {} GGUF", source.path().string(),
           info.name, architecture.name);
    }
    tied &= name != "output.weight";
    planned.push_back({info.name, {name, nullptr, info.shape}});
  }
  GgufModelShape shape = shape_of(config, tied);
  for (auto& [name, plan] : planned) {
    plan.type = &gguf_tensor_type(file_type, plan.name, plan.shape, shape);
  }
  std::stable_sort(planned.begin(), planned.end(), [](const Planned& a, const Planned& b) {
    return blk_layer(a.plan.name) < blk_layer(b.plan.name);
  });
  return planned;
}

at::Tensor read_tensor(const ModelSource& source, const ModelConfig& config,
                       const GgufArchitecture& architecture, const std::string& name) {
  const std::string place = source.path().string();
  at::Tensor tensor = source.tensor(name);
  check_finite(tensor, name, place);
  if (architecture.zero_centered_norms && name.ends_with("norm.weight")) {
    return tensor.to(at::kFloat) + 1;
  }
  if (!architecture.permuted) return tensor;
  const auto heads = rotated_heads(name, config.num_attention_heads, config.num_key_value_heads);
  return heads ? interleaved_rows(tensor, *heads, place, name) : tensor;
}

/// A model's name: the last part of "ORG/NAME", or of its path.
std::string name_of(const ModelSource& source, const ModelConfig& config) {
  std::filesystem::path from = source.path();
  auto said = config.source.find("_name_or_path");
  if (said != config.source.end() && said->is_string() && !said->get<std::string>().empty()) {
    from = said->get<std::string>();
  }
  from = without_trailing_slash(std::filesystem::absolute(from));
  const std::string name =
      from.extension() == ".gguf" ? from.stem().string() : from.filename().string();
  return name.substr(0, valid_utf8_prefix(name));
}

GgufMetadata general_metadata(const ModelSource& source, const ModelConfig& config,
                              const GgufArchitecture& architecture, const GgufFileType& file_type) {
  GgufMetadata metadata;
  metadata.set("general.architecture", architecture.name);
  metadata.set("general.type", "model");
  metadata.set("general.name", name_of(source, config));
  metadata.set("general.file_type", file_type.id);
  metadata.set("general.quantization_version", uint32_t{2});  // of ggml's block formats
  return metadata;
}

}  // namespace

void export_gguf(const ModelSource& source, const ModelConfig& config,
                 const std::filesystem::path& path, const GgufFileType& file_type) {
  const GgufArchitecture* architecture = gguf_architecture_of(config.model_type);
  if (!architecture) {
    fail(ExitCode::kModel, "{}: llama.cpp's architecture of a {} model is not known",
         source.path().string(), config.model_type);
  }
  require_fitting_tensors(source, config);
  std::vector<Planned> planned = plan_tensors(source, config, *architecture, file_type);
  GgufMetadata metadata = general_metadata(source, config, *architecture, file_type);
  std::vector<GgufRopeTensor> rope = write_gguf_config(config, *architecture, metadata);
  write_gguf_vocabulary(source, config, metadata);

  std::vector<GgufTensorPlan> plans;
  const GgmlType* f32 = find_ggml_type("F32");
  for (const auto& [name, values] : rope) {
    plans.push_back({name, f32, {static_cast<int64_t>(values.size())}});
  }
  for (const auto& tensor : planned) plans.push_back(tensor.plan);

  Json made_from = {
      {"source", source.stamps()}, {"type", file_type.name}, {"rope", Json::object()}};
  for (const auto& [name, values] : rope) made_from["rope"][name] = values;
  GgufWriter writer(path, metadata, plans, std::move(made_from));
  const int64_t missing = gguf_file_bytes(metadata, plans) - writer.size_bytes();
  require_disk_space(path.parent_path().empty() ? "." : path.parent_path(), missing);
  while (writer.next() < rope.size()) {
    auto& values = rope[writer.next()].values;
    writer.add(at::from_blob(values.data(), {static_cast<int64_t>(values.size())}, at::kFloat));
  }
  WriteProgress progress(missing);
  while (writer.next() < plans.size()) {
    const auto& [name, plan] = planned[writer.next() - rope.size()];
    at::Tensor tensor = read_tensor(source, config, *architecture, name);
    if (plan.type->name == "F16") {
      check_finite(tensor.to(at::kHalf), name, fmt::format("{} as F16", source.path().string()));
    }
    writer.add(tensor);
    progress.written(plan.bytes());
    progress.log_now_and_then(fmt::format("tensor {} of {}", writer.next(), plans.size()));
  }
  writer.commit();
}

const GgufFileType& gguf_file_type_of(const ModelSource& source) {
  at::ScalarType dtype = main_dtype(source);
  return find_gguf_file_type(safetensors_dtype(dtype), "");
}

}  // namespace longspan
