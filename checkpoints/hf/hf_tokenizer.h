#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/core/json.h"

namespace longspan {

/// Where a folder has chat templates by name, NAME.jinja each.
inline constexpr std::string_view kChatTemplatesFolder = "additional_chat_templates";

/// The tokenizer of a Hugging Face folder in the form of a tokenizer.json: its own, or else one
/// made from tokenizer.model (SentencePiece) or from vocab.json and merges.txt; with what
/// tokenizer_config.json, special_tokens_map.json and added_tokens.json say (see side_tokens.h);
/// null when there is none.
///
/// - A folder with `tokenizer_class: LlamaTokenizer`, or CodeLlamaTokenizer, is cut by the rules of
///   that class, as AutoTokenizer of transformers 5.23 does whatever normalizer the tokenizer.json
///   has: a blank before the text unless it starts with one, with `legacy: true` also behind each
///   special token, none with `add_prefix_space: false`. (With a tokenizer.json only where
///   model_type is llama, and then config.json may name the class too; AutoTokenizer takes those of
///   other families as they are.)
/// - `tokenizer_class: GemmaTokenizer` on a llama model makes BPE of a tokenizer.json anew, too: no
///   blank before the text, bytes for characters that no token has, and "<pad>", "<mask>" and so on
///   for the uses that tokenizer_config.json does not name. Beside ByteLevel it is an error.
/// - A tokenizer.model is cut by the SentencePiece library, and without that class as transformers
///   4's slow tokenizer has it: a blank before every text. transformers 5.23 puts none there.
/// - transformers 5.23 makes BPE of a tokenizer.model with its merges ordered by id, not by score,
///   which cuts runs of spaces otherwise: "\n    pass". With LlamaTokenizer it also passes over a
///   model's table of characters, and takes Unigram for BPE; here the library's rules hold.
/// - With tokenizer.model, bos comes before a text unless `add_bos_token: false`, as for the slow
///   tokenizer; transformers 5.23 wants `add_bos_token: true` for that.
///
/// Throws Error(kModel) naming the file that is damaged or not supported.
Json hf_tokenizer_json(const std::filesystem::path& folder);

/// Whether that is not null.
bool has_hf_tokenizer(const std::filesystem::path& folder);

/// What transformers reads of it, the chat template too, as (file name, content).
std::vector<std::pair<std::string, std::string>> hf_tokenizer_files(
    const std::filesystem::path& folder);

}  // namespace longspan
