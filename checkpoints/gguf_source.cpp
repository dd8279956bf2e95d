#include "checkpoints/gguf_source.h"

#include "checkpoints/gguf_config.h"
#include "checkpoints/gguf_tokenizer.h"
#include "src/core/text.h"

namespace longspan {

namespace {

struct Renamed {
  std::string_view gguf, hugging_face;
};

constexpr Renamed kOutside[] = {
    {"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"}};
constexpr Renamed kInLayer[] = {
    {"attn_norm", "input_layernorm"},    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},      {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"}, {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},       {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"}};

/// "blk.3.attn_q.weight" -> "model.layers.3.self_attn.q_proj.weight"; "" when it has no such name.
std::string hugging_face_name(const std::string& name) {
  std::vector<std::string> parts = split(name, '.');
  if (parts.size() == 2) {
    for (const auto& known : kOutside) {
      if (parts[0] == known.gguf) return fmt::format("{}.{}", known.hugging_face, parts[1]);
    }
  }
  if (parts.size() == 4 && parts[0] == "blk") {
    for (const auto& known : kInLayer) {
      if (parts[2] == known.gguf) {
        return fmt::format("model.layers.{}.{}.{}", parts[1], known.hugging_face, parts[3]);
      }
    }
  }
  return "";
}

/// llama.cpp rotates neighbours, Hugging Face halves: rows (head, i, half) -> (head, half, i).
/// [heads * D, ...] -> the same shape.
at::Tensor half_split_rows(const at::Tensor& rows, int64_t heads) {
  return rows.unflatten(0, {heads, -1, 2}).transpose(1, 2).reshape(rows.sizes());
}

}  // namespace

GgufSource::GgufSource(const std::filesystem::path& path)
    : gguf_(path), config_(gguf_config_json(gguf_)) {
  for (const auto& tensor : gguf_.tensors()) {
    if (tensor.name == "rope_freqs.weight") continue;  // in the config as rope_scaling
    std::string name = hugging_face_name(tensor.name);
    if (name.empty()) {
      fail(ExitCode::kModel, "{}: tensor '{}' has no place in a llama model", gguf_.place(),
           tensor.name);
    }
    by_name_[name] = &tensor;
  }
}

Json GgufSource::tokenizer_json() const { return gguf_tokenizer_json(gguf_); }

std::vector<std::pair<std::string, std::string>> GgufSource::side_files() const {
  std::vector<std::pair<std::string, std::string>> files;
  if (Json tokenizer = tokenizer_json(); !tokenizer.is_null()) {
    files.emplace_back("tokenizer.json", tokenizer.dump(2) + "\n");
    files.emplace_back("tokenizer_config.json", gguf_tokenizer_config_json(gguf_).dump(2) + "\n");
  }
  Json generation = {{"_from_model_config", true}};
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
    if (config_.contains(key)) generation[key] = config_[key];
  }
  files.emplace_back("generation_config.json", generation.dump(2) + "\n");
  return files;
}

std::vector<TensorInfo> GgufSource::tensors() const {
  std::vector<TensorInfo> infos;
  for (const auto& tensor : gguf_.tensors()) {
    std::string name = hugging_face_name(tensor.name);
    if (name.empty()) continue;
    infos.push_back({name, std::string(tensor.type->name), tensor.shape, tensor.bytes});
  }
  return infos;
}

at::Tensor GgufSource::tensor(const std::string& name) const {
  auto found = by_name_.find(name);
  if (found == by_name_.end())
    fail(ExitCode::kModel, "{}: has no tensor '{}'", gguf_.place(), name);
  at::Tensor tensor = gguf_.tensor(*found->second);
  bool query = name.find("self_attn.q_proj.") != name.npos;
  if (!query && name.find("self_attn.k_proj.") == name.npos) return tensor;
  auto heads = config_[query ? "num_attention_heads" : "num_key_value_heads"].get<int64_t>();
  if (tensor.dim() == 0 || heads < 1 || tensor.size(0) % (2 * heads) != 0) {
    fail(ExitCode::kModel, "{}: the rows of '{}' do not make {} heads", gguf_.place(), name, heads);
  }
  return half_split_rows(tensor, heads);
}

}  // namespace longspan
