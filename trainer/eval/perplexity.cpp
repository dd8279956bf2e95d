#include "trainer/eval/perplexity.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <numbers>

#include "data/document_source.h"
#include "src/core/log.h"
#include "src/core/text.h"
#include "trainer/eval/statistics.h"
#include "trainer/eval/window_loss.h"

namespace longspan {

namespace {

struct TargetDocuments {
  std::vector<TargetDocument> documents;
  std::vector<std::string> too_short;  // "name (1,234 tokens)"
};

void check(const EvalOptions& options) {
  if (options.text.empty()) {
    fail(ExitCode::kUsage, "perplexity: no text given; name documents with --text FILE...");
  }
  int64_t shortest = *std::min_element(options.lengths.begin(), options.lengths.end());
  if (options.targets < 1 || options.targets >= shortest - 1) {
    fail(ExitCode::kUsage,
         "perplexity: {} targets do not fit the shortest length {}, expected at least 1 and room "
         "for context before them; give a smaller --targets or longer --lengths",
         options.targets, shortest);
  }
}

/// 64-bit FNV-1a over the ids: two results with equal digests scored equal tokens.
std::string digest(const std::vector<int64_t>& ids) {
  uint64_t hash = 0xcbf29ce484222325;
  for (int64_t id : ids) {
    for (int byte = 0; byte < 8; ++byte) {
      hash = (hash ^ (static_cast<uint64_t>(id) >> (8 * byte) & 0xff)) * 0x100000001b3;
    }
  }
  return fmt::format("{:016x}", hash);
}

TargetDocument target_document(const Tokenizer& tokenizer, const Document& document,
                               int64_t keep_tokens, int64_t targets) {
  std::vector<int32_t> ids = tokenizer.encode(document.text);
  // The file name alone: the same book in another folder is the same text.
  TargetDocument kept{.name = std::filesystem::path(document.name).filename().string(),
                      .document_tokens = static_cast<int64_t>(ids.size())};
  if (kept.document_tokens < keep_tokens) return kept;
  kept.ids.assign(ids.begin(), ids.begin() + keep_tokens);
  kept.target_bytes =
      static_cast<int64_t>(tokenizer.decode({kept.ids.end() - targets, kept.ids.end()}).size());
  return kept;
}

TargetDocuments read_documents(const EvalSubject& subject, const EvalOptions& options) {
  int64_t longest = *std::max_element(options.lengths.begin(), options.lengths.end());
  int64_t keep_tokens = longest - (subject.bos_token_id ? 1 : 0);
  TargetDocuments found;
  auto source = open_documents(find_document_files(options.text), {});
  while (auto document = source->next()) {
    auto kept = target_document(subject.tokenizer, *document, keep_tokens, options.targets);
    if (kept.ids.empty()) {
      found.too_short.push_back(
          fmt::format("{} ({} tokens)", kept.name, human_count(kept.document_tokens)));
      continue;
    }
    found.documents.push_back(std::move(kept));
    if (static_cast<int64_t>(found.documents.size()) == options.documents) break;
  }
  if (found.documents.empty()) {
    fail(ExitCode::kData,
         "perplexity: no document has the {} tokens of the longest length: {}; give longer "
         "documents or smaller --lengths",
         human_count(keep_tokens), join(found.too_short, ", "));
  }
  if (!found.too_short.empty()) {
    log_warning(fmt::format("perplexity: left out, shorter than {} tokens: {}",
                            human_count(keep_tokens), join(found.too_short, ", ")));
  }
  return found;
}

/// Mean nll of the document's targets with a context of `length` tokens.
double score(const EvalSubject& subject, const TargetDocument& document, int64_t length,
             int64_t targets) {
  double nll =
      window_loss(subject.model, context_window(document, length, subject.bos_token_id), targets);
  if (!std::isfinite(nll)) {
    fail(ExitCode::kNonFinite,
         "perplexity: the loss of {} at length {} is not finite; try --dtype float32, or look at "
         "the model with 'longspan inspect'",
         document.name, length);
  }
  return nll;
}

Json protocol(const EvalSubject& subject, const EvalOptions& options,
              const TargetDocuments& found) {
  int64_t longest = *std::max_element(options.lengths.begin(), options.lengths.end());
  Json documents = Json::array();
  for (const auto& document : found.documents) {
    documents.push_back({{"name", document.name}, {"ids_digest", digest(document.ids)}});
  }
  return {
      {"rule",
       "fixed-target context sweep: the same target tokens are scored at every length; a length is "
       "the number of tokens read (BOS included where there is one), the last of which are the "
       "targets; every document starts afresh; one pass, no sliding window"},
      {"average", "over all scored tokens, in nats; standard error over documents"},
      {"targets_per_document", options.targets},
      {"target_end", longest},
      {"bos_token_id", subject.bos_token_id ? Json(*subject.bos_token_id) : Json(nullptr)},
      {"documents", documents},
      {"left_out_as_too_short", found.too_short},
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

std::vector<int64_t> context_window(const TargetDocument& document, int64_t length,
                                    std::optional<int64_t> bos_token_id) {
  std::vector<int64_t> window;
  if (bos_token_id) window.push_back(*bos_token_id);
  int64_t own = length - static_cast<int64_t>(window.size());
  window.insert(window.end(), document.ids.end() - own, document.ids.end());
  return window;
}

TaskResult Perplexity::run(const EvalSubject& subject, const EvalOptions& options) const {
  using Clock = std::chrono::steady_clock;
  check(options);
  auto begin = Clock::now();
  TargetDocuments found = read_documents(subject, options);
  std::vector<PerplexityRow> rows;
  for (int64_t length : options.lengths) rows.push_back({.length = length});

  for (size_t i = 0; i < found.documents.size(); ++i) {
    for (auto& row : rows) {
      auto start = Clock::now();
      double nll = score(subject, found.documents[i], row.length, options.targets);
      double seconds = std::chrono::duration<double>(Clock::now() - start).count();
      row.document_nll.push_back(nll);
      row.seconds += seconds;
      log_info(fmt::format("perplexity {}/{} {}: {} of context, loss {:.4f}, {:.1f} s", i + 1,
                           found.documents.size(), found.documents[i].name,
                           length_label(row.length), nll, seconds));
    }
  }

  TaskResult result{.task = std::string(name()), .protocol = protocol(subject, options, found)};
  for (auto& row : rows) {
    finish(row, found.documents, options.targets);
    result.rows.push_back(row.write());
  }
  result.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  return result;
}

}  // namespace longspan
