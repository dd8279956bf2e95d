#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/json.h"
#include "trainer/eval/eval_subject.h"

namespace longspan {

/// The files of the documents that `text` names: files, folders, globs. None of nothing.
std::vector<std::filesystem::path> text_files(const std::vector<std::string>& text);

/// A document as ids, without a BOS.
struct EvaluatedText {
  std::string name;  // the file's, without its folder
  std::vector<int64_t> ids;
};

/// The first `most` documents (0: all) of these files that have `fewest_tokens`, each cut behind
/// `keep_tokens` (0: not at all). Shorter ones are left out with a warning; when none is long
/// enough Error(kData) says how long the longest are. `task` names who asks.
std::vector<EvaluatedText> read_texts(const EvalSubject& subject,
                                      const std::vector<std::string>& files, std::string_view task,
                                      int64_t fewest_tokens, int64_t keep_tokens, int64_t most);

/// The tokens [begin, end) of the text behind a BOS, if there is one.
std::vector<int64_t> window_ids(const EvaluatedText& text, int64_t begin, int64_t end,
                                std::optional<int64_t> bos_token_id);

/// Bytes of the text of ids [begin, end).
int64_t bytes_of(const Tokenizer& tokenizer, const std::vector<int64_t>& ids, int64_t begin,
                 int64_t end);

/// 64-bit FNV-1a over the ids: equal digests are of equal ids.
std::string ids_digest(const std::vector<int64_t>& ids);
/// [{"name", "ids_digest"}]: two results with equal ones read equal tokens.
Json text_digests(std::span<const EvaluatedText> texts);

}  // namespace longspan
