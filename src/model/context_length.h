#pragma once

#include <cstdint>
#include <optional>

#include "src/model/model_config.h"

namespace longspan {

/// The lengths that a model's RoPE scaling leads from and to, in tokens.
struct ContextLength {
  int64_t original = 0;  // before scaling
  int64_t usable = 0;    // the longest sequence that the model is made for
};

/// What all ask that need a model's length. A scaling's own keys go before max_position_embeddings
/// where they reach further: dynamic scaling keeps that at the original length, and Qwen advises
/// YaRN beside it. Of llama3 max_position_embeddings counts where it is above the original length.
ContextLength context_length(const ModelConfig& config);

/// What max_position_embeddings beside a linear factor means otherwise, where nothing says which:
/// transformers 4's documentation leaves the original length there, others write the extended one,
/// which context_length() takes it for.
std::optional<ContextLength> other_context_length(const ModelConfig& config);

/// Says both readings, and how config.json decides between them.
std::string ask_for_original_length(const ModelConfig& config, const ContextLength& other);

}  // namespace longspan
