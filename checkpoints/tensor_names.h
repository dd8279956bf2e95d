#pragma once

namespace longspan {

/// Hugging Face's names of the two tensors that are one where word embeddings are tied.
inline constexpr const char* kEmbedTokens = "model.embed_tokens.weight";
inline constexpr const char* kLmHead = "lm_head.weight";

}  // namespace longspan
