#pragma once

#include <string_view>

namespace longspan {

/// Hugging Face's names of the two tensors that are one where word embeddings are tied.
inline constexpr const char* kEmbedTokens = "model.embed_tokens.weight";
inline constexpr const char* kLmHead = "lm_head.weight";

/// Whether a file may have the tensor although it is no parameter of the model: a second copy of
/// tied embeddings, and the frequency buffers of transformers before 4.32.
constexpr bool is_redundant(std::string_view name, bool tie_word_embeddings) {
  return (name == kLmHead && tie_word_embeddings) || name.ends_with("rotary_emb.inv_freq");
}

/// No name in a file may have one: they steer the terminal that shows it.
constexpr bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

}  // namespace longspan
