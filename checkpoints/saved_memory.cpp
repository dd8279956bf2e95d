#include "checkpoints/saved_memory.h"

#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include "checkpoints/dtype.h"
#include "checkpoints/safetensors.h"
#include "checkpoints/safetensors_writer.h"
#include "checkpoints/weights_fingerprint.h"
#include "src/attention/focused_memory_state.h"
#include "src/core/digest.h"

namespace longspan {

namespace {

constexpr const char* kIdentity = "longspan_memory";
constexpr const char* kChecksum = "sha256";
constexpr const char* kInputIds = "input_ids";
constexpr const char* kRopeLength = "rope_length";

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

std::string checksum(const NamedTensors& tensors) {
  Digest hash;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor bytes = tensor.contiguous();
    hash.update(name);
    hash.update(std::string_view(static_cast<const char*>(bytes.const_data_ptr()), bytes.nbytes()));
  }
  return hash.hex();
}

std::string prefix_of(size_t layer) { return fmt::format("layers.{}.", layer); }

[[noreturn]] void fail_as_damaged(const std::filesystem::path& path, std::string_view what) {
  fail(ExitCode::kCheckpoint, "{}: {}; read the text again and save its memory anew", path.string(),
       what);
}

void require_same(const Json& saved, const Json& current, const std::filesystem::path& path) {
  for (const auto& [key, value] : current.items()) {
    const Json there = saved.value(key, Json());
    if (nlohmann::json(there) == nlohmann::json(value)) continue;
    fail(ExitCode::kCheckpoint,
         "{}: was read with another {} ({}; here {}); open the model as it was then, or read the "
         "text again",
         path.string(), key, there.dump(), value.dump());
  }
}

/// What is no safetensors file, or cut short, is damaged memory and no model.
SafetensorsReader open_saved(const std::filesystem::path& path) {
  try {
    return SafetensorsReader(path);
  } catch (const Error& error) {
    fail(ExitCode::kCheckpoint, "{}", error.what());
  }
}

}  // namespace

Json memory_identity(const ModelSource& source, const CausalLm& model) {
  const ModelConfig& config = model.config();
  Json attention = write_attention_pattern(model.attention());
  for (const char* free : {"mem_dir", "schedule", "mem_attention_grouping"}) attention.erase(free);
  return {{"weights", weights_fingerprint(source)},
          {"rope", config.rope_scaling->config_entry(config.rope_geometry())},
          {"attention", attention},
          {"dtype", torch_dtype(model.dtype())}};
}

void save_memory(const std::filesystem::path& path, const ModelState& state, const Json& identity) {
  NamedTensors tensors{{kInputIds, state.input_ids.cpu()},
                       {kRopeLength, at::tensor({state.rope_length}, at::kLong)}};
  for (size_t i = 0; i < state.layers.size(); ++i) {
    const auto& layer = dynamic_cast<const FocusedMemoryState&>(*state.layers[i]);
    for (auto& [name, tensor] : layer.tensors()) {
      tensors.emplace_back(prefix_of(i) + name, tensor.cpu().contiguous());
    }
  }
  write_safetensors(path, tensors, {{kIdentity, identity.dump()}, {kChecksum, checksum(tensors)}});
}

ModelState load_memory(const std::filesystem::path& path, const CausalLm& model,
                       const Json& identity) {
  const SafetensorsReader file = open_saved(path);
  const auto& metadata = file.metadata();
  if (!metadata.contains(kIdentity) || !metadata.contains(kChecksum)) {
    fail(ExitCode::kCheckpoint, "{}: is no saved memory; expected a file of --save-memory",
         path.string());
  }
  const Json saved = Json::parse(metadata.at(kIdentity), nullptr, /*allow_exceptions=*/false);
  if (!saved.is_object()) fail_as_damaged(path, "does not say what it was read with");
  require_same(saved, identity, path);

  NamedTensors tensors;
  std::vector<std::map<std::string, at::Tensor>> layers(
      static_cast<size_t>(model.config().num_hidden_layers));
  for (const TensorInfo& info : file.tensors()) {
    tensors.emplace_back(info.name, file.tensor(info.name));
  }
  if (checksum(tensors) != metadata.at(kChecksum)) {
    fail_as_damaged(path, "holds other bytes than were saved");
  }
  for (const auto& [name, tensor] : tensors) {
    for (size_t i = 0; i < layers.size(); ++i) {
      const std::string prefix = prefix_of(i);
      if (name.starts_with(prefix)) layers[i][name.substr(prefix.size())] = tensor;
    }
  }
  ModelState state;
  const at::Device device = model.lm_head_weight().device();
  state.input_ids =
      file.tensor(kInputIds).to(device, at::kLong, /*non_blocking=*/false, /*copy=*/true);
  state.rope_length = file.tensor(kRopeLength).item<int64_t>();
  for (size_t i = 0; i < layers.size(); ++i) {
    auto layer = model.attention().make_state(static_cast<int64_t>(i));
    try {
      dynamic_cast<FocusedMemoryState&>(*layer).restore(layers[i], device);
    } catch (const std::out_of_range&) {
      fail_as_damaged(path, fmt::format("lacks a tensor of layer {}", i));
    }
    state.layers.push_back(std::move(layer));
  }
  return state;
}

}  // namespace longspan
