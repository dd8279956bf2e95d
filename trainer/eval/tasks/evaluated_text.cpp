#include "trainer/eval/tasks/evaluated_text.h"

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "data/documents/document_files.h"
#include "data/documents/document_source.h"
#include "src/core/log.h"
#include "src/core/text.h"

namespace longspan {

std::vector<EvaluatedText> read_texts(const EvalSubject& subject,
                                      const std::vector<std::string>& files, std::string_view task,
                                      int64_t fewest_tokens, int64_t keep_tokens, int64_t most) {
  std::vector<EvaluatedText> texts;
  int64_t too_short = 0, longest = 0;
  auto source = open_documents(find_document_files(files), {});
  while (auto document = source->next()) {
    const std::vector<int32_t> ids = subject.tokenizer.encode(document->text());
    longest = std::max(longest, std::ssize(ids));
    if (std::ssize(ids) < fewest_tokens) {
      ++too_short;
      continue;
    }
    const int64_t kept = keep_tokens > 0 ? std::min(keep_tokens, std::ssize(ids)) : std::ssize(ids);
    texts.push_back({std::filesystem::path(document->name).filename().string(),
                     {ids.begin(), ids.begin() + kept}});
    if (std::ssize(texts) == most) break;
  }
  log_warnings(source->report());
  if (texts.empty()) {
    fail(ExitCode::kData,
         "{}: no document has {} tokens, the longest has {}; give longer documents or smaller "
         "--lengths",
         task, human_count(fewest_tokens), human_count(longest));
  }
  if (too_short > 0) {
    log_warning_once(fmt::format("{}: {} documents have fewer than {} tokens and are left out",
                                 task, too_short, human_count(fewest_tokens)));
  }
  return texts;
}

std::vector<int64_t> window_ids(const EvaluatedText& text, int64_t begin, int64_t end,
                                std::optional<int64_t> bos_token_id) {
  std::vector<int64_t> ids;
  ids.reserve(end - begin + 1);
  if (bos_token_id) ids.push_back(*bos_token_id);
  std::copy(text.ids.begin() + begin, text.ids.begin() + end, std::back_inserter(ids));
  return ids;
}

int64_t bytes_of(const Tokenizer& tokenizer, const std::vector<int64_t>& ids, int64_t begin,
                 int64_t end) {
  return std::ssize(tokenizer.decode({ids.begin() + begin, ids.begin() + end}));
}

std::string ids_digest(const std::vector<int64_t>& ids) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const int64_t id : ids) {
    for (int byte = 0; byte < 8; ++byte) {
      hash = (hash ^ (static_cast<uint64_t>(id) >> (8 * byte) & 0xff)) * 0x100000001b3;
    }
  }
  return fmt::format("{:016x}", hash);
}

Json text_digests(const std::vector<EvaluatedText>& texts) {
  Json digests = Json::array();
  for (const auto& text : texts) {
    digests.push_back({{"name", text.name}, {"ids_digest", ids_digest(text.ids)}});
  }
  return digests;
}

}  // namespace longspan
