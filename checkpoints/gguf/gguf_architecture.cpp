#include "checkpoints/gguf/gguf_architecture.h"

#include <fmt/format.h>

#include "src/core/text.h"

namespace longspan {

namespace {

using Renamed = GgufArchitecture::Renamed;

constexpr Renamed kOutside[] = {
    {"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"}};

constexpr Renamed kLlama[] = {
    {"attn_norm", "input_layernorm"},    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},      {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"}, {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"}, {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},       {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"}};

constexpr Renamed kPhi3[] = {
    {"attn_norm", "input_layernorm"},    {"attn_qkv", "self_attn.qkv_proj"},
    {"attn_output", "self_attn.o_proj"}, {"ffn_norm", "post_attention_layernorm"},
    {"ffn_up", "mlp.gate_up_proj"},      {"ffn_down", "mlp.down_proj"}};

constexpr Renamed kGemma3[] = {{"attn_norm", "input_layernorm"},
                               {"attn_q", "self_attn.q_proj"},
                               {"attn_k", "self_attn.k_proj"},
                               {"attn_v", "self_attn.v_proj"},
                               {"attn_output", "self_attn.o_proj"},
                               {"attn_q_norm", "self_attn.q_norm"},
                               {"attn_k_norm", "self_attn.k_norm"},
                               {"post_attention_norm", "post_attention_layernorm"},
                               {"ffn_norm", "pre_feedforward_layernorm"},
                               {"ffn_gate", "mlp.gate_proj"},
                               {"ffn_up", "mlp.up_proj"},
                               {"ffn_down", "mlp.down_proj"},
                               {"post_ffw_norm", "post_feedforward_layernorm"}};

constexpr GgufArchitecture llama_of(std::string_view model_type) {
  return {.name = "llama",
          .model_type = model_type,
          .in_layer = kLlama,
          .permuted = true,
          .takes_rope_freqs = true,
          .takes_rope_factors = true};
}

constexpr GgufArchitecture kArchitectures[] = {
    llama_of("llama"),
    // llama.cpp has no architecture of its own for it, and for GGUF -> config.json the first
    // counts.
    llama_of("mistral"),
    // Nor for LongLLaMA, which it reads without memory (gguf_config.cpp).
    llama_of("longllama"),
    {.name = "qwen2", .model_type = "qwen2", .in_layer = kLlama},
    {.name = "qwen3", .model_type = "qwen3", .in_layer = kLlama},
    {.name = "smollm3", .model_type = "smollm3", .in_layer = kLlama, .permuted = true},
    {.name = "phi3", .model_type = "phi3", .in_layer = kPhi3, .takes_rope_factors = true},
    {.name = "gemma3",
     .model_type = "gemma3_text",
     .in_layer = kGemma3,
     .zero_centered_norms = true},
};

}  // namespace

std::string GgufArchitecture::key(std::string_view suffix) const {
  return fmt::format("{}.{}", name, suffix);
}

std::string GgufArchitecture::hugging_face_name(const std::string& gguf_name) const {
  std::vector<std::string> parts = split(gguf_name, '.');
  if (parts.size() == 2) {
    for (const auto& known : kOutside) {
      if (parts[0] == known.gguf) return fmt::format("{}.{}", known.hugging_face, parts[1]);
    }
  }
  if (parts.size() == 4 && parts[0] == "blk") {
    for (const auto& known : in_layer) {
      if (parts[2] == known.gguf) {
        return fmt::format("model.layers.{}.{}.{}", parts[1], known.hugging_face, parts[3]);
      }
    }
  }
  return "";
}

std::string GgufArchitecture::gguf_name(const std::string& hugging_face_name) const {
  size_t dot = hugging_face_name.rfind('.');
  if (dot == hugging_face_name.npos) return "";
  std::string module = hugging_face_name.substr(0, dot), kind = hugging_face_name.substr(dot);
  for (const auto& known : kOutside) {
    if (module == known.hugging_face) return fmt::format("{}{}", known.gguf, kind);
  }
  constexpr std::string_view kLayers = "model.layers.";
  size_t number_end = module.find('.', kLayers.size());
  if (!module.starts_with(kLayers) || number_end == module.npos) return "";
  std::string layer = module.substr(kLayers.size(), number_end - kLayers.size());
  for (const auto& known : in_layer) {
    if (module.substr(number_end + 1) == known.hugging_face) {
      return fmt::format("blk.{}.{}{}", layer, known.gguf, kind);
    }
  }
  return "";
}

const GgufArchitecture* find_gguf_architecture(std::string_view name) {
  for (const auto& known : kArchitectures) {
    if (known.name == name) return &known;
  }
  return nullptr;
}

const GgufArchitecture* gguf_architecture_of(std::string_view model_type) {
  for (const auto& known : kArchitectures) {
    if (known.model_type == model_type) return &known;
  }
  return nullptr;
}

std::vector<std::string> gguf_architectures() {
  std::vector<std::string> names;
  for (const auto& known : kArchitectures) {
    if (names.empty() || names.back() != known.name) names.emplace_back(known.name);
  }
  return names;
}

}  // namespace longspan
