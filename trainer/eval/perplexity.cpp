#include "trainer/eval/perplexity.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numbers>

#include "data/documents/document_files.h"
#include "data/documents/document_source.h"
#include "src/core/log.h"
#include "src/core/stopwatch.h"
#include "src/core/text.h"
#include "trainer/eval/arms/arm.h"
#include "trainer/eval/statistics.h"
#include "trainer/eval/tasks/evaluated_text.h"

namespace longspan {

namespace {

/// "a.txt (1,234 tokens), b.txt (987 tokens) and 40 shorter ones", the longest first.
std::string describe_short(std::vector<TargetDocument> documents) {
  constexpr size_t kNamed = 10;
  std::stable_sort(documents.begin(), documents.end(), [](const auto& a, const auto& b) {
    return a.document_tokens > b.document_tokens;
  });
  std::vector<std::string> named;
  for (size_t i = 0; i < std::min(kNamed, documents.size()); ++i) {
    named.push_back(fmt::format("{} ({} tokens)", documents[i].name,
                                human_count(documents[i].document_tokens)));
  }
  std::string text = join(named, ", ");
  if (documents.size() > kNamed) {
    text += fmt::format(" and {} shorter ones",
                        human_count(static_cast<int64_t>(documents.size() - kNamed)));
  }
  return text;
}

TargetDocument target_document(const Tokenizer& tokenizer, const Document& document,
                               int64_t keep_tokens, int64_t targets) {
  std::vector<int32_t> ids = tokenizer.encode(document.text());
  // The file name alone: the same book in another folder is the same text.
  TargetDocument kept{.name = std::filesystem::path(document.name).filename().string(),
                      .document_tokens = static_cast<int64_t>(ids.size())};
  if (kept.document_tokens < keep_tokens) return kept;
  kept.ids.assign(ids.begin(), ids.begin() + keep_tokens);
  kept.target_bytes =
      static_cast<int64_t>(tokenizer.decode({kept.ids.end() - targets, kept.ids.end()}).size());
  return kept;
}

/// Those of `text` that have `longest` tokens, at most `most` unless that is 0.
std::vector<TargetDocument> read_documents(const EvalSubject& subject,
                                           const std::vector<std::string>& text, int64_t longest,
                                           int64_t most, int64_t targets) {
  int64_t keep_tokens = longest - (subject.bos_token_id ? 1 : 0);
  std::vector<TargetDocument> found, too_short;
  auto source = open_documents(find_document_files(text), {});
  while (auto document = source->next()) {
    auto kept = target_document(subject.tokenizer, *document, keep_tokens, targets);
    auto& list = kept.ids.empty() ? too_short : found;
    list.push_back(std::move(kept));
    if (most > 0 && std::ssize(found) == most) break;
  }
  log_warnings(source->report());
  if (found.empty()) {
    fail(ExitCode::kData,
         "perplexity: no document has the {} tokens of the longest length: {}; give longer "
         "documents or smaller --lengths",
         human_count(keep_tokens),
         too_short.empty() ? "there is none with text" : describe_short(std::move(too_short)));
  }
  if (!too_short.empty()) {
    log_warning_once("perplexity: left out, shorter than {} tokens: {}", human_count(keep_tokens),
                     describe_short(std::move(too_short)));
  }
  return found;
}

/// Mean nll of the document's targets with a context of `length` tokens.
double score(const EvalSubject& subject, const TargetDocument& document, int64_t length,
             int64_t targets) {
  double nll = mean(subject.arm->target_nll(
      subject, context_window(document, length, subject.bos_token_id), targets));
  if (!std::isfinite(nll)) {
    fail(ExitCode::kNonFinite,
         "perplexity: the loss of {} at length {} is not finite; try --dtype float32, or look at "
         "the model with 'longspan inspect'",
         document.name, length);
  }
  return nll;
}

Json protocol(const EvalSubject& subject, int64_t longest, int64_t targets,
              const std::vector<TargetDocument>& found) {
  Json documents = Json::array();
  for (const auto& document : found) {
    documents.push_back({{"name", document.name}, {"ids_digest", ids_digest(document.ids)}});
  }
  return {
      {"rule",
       "fixed-target context sweep: the same target tokens are scored at every length; a length is "
       "the number of tokens read (BOS included where there is one), the last of which are the "
       "targets; every document starts afresh; one pass, no sliding window"},
      {"average", "over all scored tokens, in nats; standard error over documents"},
      {"targets_per_document", targets},
      {"target_end", longest},
      {"bos_token_id", subject.bos_token_id ? Json(*subject.bos_token_id) : Json(nullptr)},
      {"documents", documents},
  };
}

void finish(PerplexityRow& row, const std::vector<TargetDocument>& documents, int64_t targets) {
  double bytes = 0;
  for (const auto& document : documents) bytes += static_cast<double>(document.target_bytes);
  row.tokens_scored = targets * static_cast<int64_t>(documents.size());
  row.nll = mean(row.document_nll);  // documents count alike: each has `targets` tokens
  row.nll_standard_error = standard_error(row.document_nll);
  row.ppl = std::exp(row.nll);
  row.bits_per_byte =
      row.nll * static_cast<double>(row.tokens_scored) / (std::numbers::ln2 * bytes);
}

}  // namespace

void Perplexity::read(Fields& fields) {
  fields.optional("text", text_);
  fields.in_range("documents", documents_, 0, int64_t{1} << 40);
  fields.in_range("targets", targets_, 1, int64_t{1} << 40);
}

Json Perplexity::write() const {
  return {{"text", text_}, {"documents", documents_}, {"targets", targets_}};
}

std::vector<std::filesystem::path> Perplexity::inputs() const {
  if (text_.empty()) return {};
  auto files = find_document_files(text_).paths;
  return {files.begin(), files.end()};
}

void Perplexity::check(const EvalOptions& options) const {
  if (text_.empty()) {
    fail(ExitCode::kUsage, "perplexity: no text given; name documents with --text FILE...");
  }
  int64_t shortest = *std::min_element(options.lengths.begin(), options.lengths.end());
  if (targets_ >= shortest - 1) {
    fail(ExitCode::kUsage,
         "perplexity: {} targets do not fit the shortest length {}, expected at least 1 and room "
         "for context before them; give a smaller --targets or longer --lengths",
         targets_, shortest);
  }
}

std::vector<int64_t> context_window(const TargetDocument& document, int64_t length,
                                    std::optional<int64_t> bos_token_id) {
  std::vector<int64_t> window;
  if (bos_token_id) window.push_back(*bos_token_id);
  int64_t own = length - static_cast<int64_t>(window.size());
  window.insert(window.end(), document.ids.end() - own, document.ids.end());
  return window;
}

TaskResult Perplexity::run(const EvalSubject& subject, const EvalOptions& options) const {
  const Stopwatch whole;
  const int64_t longest = *std::max_element(options.lengths.begin(), options.lengths.end());
  std::vector<TargetDocument> found = read_documents(subject, text_, longest, documents_, targets_);
  const double asked = std::round(share_ * static_cast<double>(found.size()));
  found.resize(static_cast<size_t>(std::max(1.0, asked)));
  std::vector<PerplexityRow> rows;
  for (int64_t length : options.lengths) rows.push_back({.length = length});

  for (const auto& document : found) {
    for (auto& row : rows) {
      const Stopwatch one;
      row.document_nll.push_back(score(subject, document, row.length, targets_));
      row.seconds += one.seconds();
    }
  }

  TaskResult result{.task = std::string(name()),
                    .protocol = protocol(subject, longest, targets_, found)};
  for (auto& row : rows) {
    finish(row, found, targets_);
    result.rows.push_back(row.write());
  }
  result.seconds = whole.seconds();
  return result;
}

}  // namespace longspan
