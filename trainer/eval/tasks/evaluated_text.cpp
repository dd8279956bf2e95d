#include "trainer/eval/tasks/evaluated_text.h"

#include <algorithm>
#include <functional>
#include <iterator>

#include "data/documents/document_files.h"
#include "data/documents/document_source.h"
#include "src/core/log.h"
#include "src/core/text.h"

namespace longspan {

namespace {

/// A document that is left out.
struct ShortDocument {
  std::string name;
  int64_t tokens;
};

std::string file_name(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

/// "a.txt (1,234 tokens), b.txt (987 tokens) and 40 shorter ones", the longest first.
std::string describe_short(std::vector<ShortDocument> documents) {
  constexpr size_t kNamed = 10;
  std::ranges::stable_sort(documents, std::greater(), &ShortDocument::tokens);
  std::vector<std::string> named;
  for (size_t i = 0; i < std::min(kNamed, documents.size()); ++i) {
    named.push_back(
        fmt::format("{} ({} tokens)", documents[i].name, human_count(documents[i].tokens)));
  }
  std::string text = join(named, ", ");
  if (documents.size() > kNamed) {
    text += fmt::format(" and {} shorter ones",
                        human_count(static_cast<int64_t>(documents.size() - kNamed)));
  }
  return text;
}

}  // namespace

std::vector<std::filesystem::path> text_files(const std::vector<std::string>& text) {
  return text.empty() ? std::vector<std::filesystem::path>{} : find_document_files(text).paths;
}

std::vector<EvaluatedText> read_texts(const EvalSubject& subject,
                                      const std::vector<std::string>& files, std::string_view task,
                                      int64_t fewest_tokens, int64_t keep_tokens, int64_t most) {
  std::vector<EvaluatedText> texts;
  std::vector<ShortDocument> too_short;
  auto source = open_documents(find_document_files(files), {});
  while (auto document = source->next()) {
    const std::vector<int32_t> ids = subject.tokenizer.encode(document->text());
    if (std::ssize(ids) < fewest_tokens) {
      too_short.push_back({file_name(document->name), std::ssize(ids)});
      continue;
    }
    const int64_t kept = keep_tokens > 0 ? std::min(keep_tokens, std::ssize(ids)) : std::ssize(ids);
    texts.push_back({file_name(document->name), {ids.begin(), ids.begin() + kept}});
    if (std::ssize(texts) == most) break;
  }
  log_warnings(source->report());
  if (texts.empty()) {
    fail(ExitCode::kData,
         "{}: no document has {} tokens: {}; give longer documents or smaller --lengths", task,
         human_count(fewest_tokens),
         too_short.empty() ? "there is none with text" : describe_short(std::move(too_short)));
  }
  if (!too_short.empty()) {
    log_warning_once("{}: left out, shorter than {} tokens: {}", std::string(task),
                     human_count(fewest_tokens), describe_short(std::move(too_short)));
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

Json text_digests(std::span<const EvaluatedText> texts) {
  Json digests = Json::array();
  for (const auto& text : texts) {
    digests.push_back({{"name", text.name}, {"ids_digest", ids_digest(text.ids)}});
  }
  return digests;
}

}  // namespace longspan
