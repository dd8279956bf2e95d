#pragma once

#include <filesystem>

#include "src/core/json.h"

namespace longspan {

/// Whether a folder has vocab.json and merges.txt, the files of GPT-2's byte-level BPE.
bool has_vocab_and_merges(const std::filesystem::path& folder);

/// The tokenizer.json that transformers 5.23 makes of them: for tokenizer_class Qwen2Tokenizer, or
/// a model of that family, with Qwen2's normalizer and pattern, else with GPT-2's. Files that are
/// no map and no list of merges throw Error(kModel).
Json vocab_and_merges_json(const std::filesystem::path& folder, const Json& tokenizer_config);

/// `tokenizer_config` with the special token that Qwen2Tokenizer and GPT2Tokenizer take for each
/// use that it does not name, "<|endoftext|>"; under another class where `tokenizer_json`, which
/// vocab_and_merges_json() made, has it.
Json with_default_tokens(const std::filesystem::path& folder, const Json& tokenizer_json,
                         Json tokenizer_config);

}  // namespace longspan
