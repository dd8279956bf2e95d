#pragma once

namespace longspan {

/// Hugging Face's names of the two tensors that are one where word embeddings are tied.
inline constexpr const char* kEmbedTokens = "model.embed_tokens.weight";
inline constexpr const char* kLmHead = "lm_head.weight";

/// No name in a file may have one: they steer the terminal that shows it.
constexpr bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

}  // namespace longspan
