#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace longspan {

/// One of llama.cpp's architectures that is a family of ours: how the two name things, and what
/// llama.cpp computes for it (src/models/*.cpp, as of llama-cpp-python 0.3.36).
struct GgufArchitecture {
  struct Renamed {
    std::string_view gguf, hugging_face;
  };

  std::string_view name;        // general.architecture, and the prefix of its keys
  std::string_view model_type;  // in config.json
  std::span<const Renamed> in_layer;
  /// Rotates neighbouring rows of q and k where Hugging Face rotates halves.
  bool permuted = false;
  bool takes_rope_freqs = false;     // divides frequencies by the tensor rope_freqs
  bool takes_rope_factors = false;   // and by rope_factors_short or rope_factors_long
  bool zero_centered_norms = false;  // adds 1 to the weights of Hugging Face's norms

  /// "{name}.{suffix}".
  std::string key(std::string_view suffix) const;
  /// "blk.3.attn_q.weight" <-> "model.layers.3.self_attn.q_proj.weight"; "" for a tensor that has
  /// no such name.
  std::string hugging_face_name(const std::string& gguf_name) const;
  std::string gguf_name(const std::string& hugging_face_name) const;
};

/// By general.architecture, or by model_type; nullptr when there is none.
const GgufArchitecture* find_gguf_architecture(std::string_view name);
const GgufArchitecture* gguf_architecture_of(std::string_view model_type);
std::vector<std::string> gguf_architectures();

}  // namespace longspan
