#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "data/tokenizers/tokenizer.h"

namespace longspan {

/// The part of a model that deals with text.
struct TextModel {
  std::unique_ptr<Tokenizer> tokenizer;
  std::optional<int32_t> bos_token_id;  // of the tokenizer or the config
  bool adds_bos = false;                // whether the tokenizer puts it before a text
  std::optional<int32_t> eos_token_id;  // of the config; the first when it is a list
};

/// Of a folder with tokenizer.json or tokenizer.model (and config.json, if there is one), or of a
/// GGUF file. Weights are not looked at. `split_special_tokens`: special tokens in a text are text,
/// whatever the files say. Throws Error(kModel).
TextModel open_text_model(const std::filesystem::path& model, bool split_special_tokens = false);

}  // namespace longspan
