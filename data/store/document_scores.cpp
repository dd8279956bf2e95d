#include "data/store/document_scores.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "src/core/fields.h"
#include "src/core/text.h"

namespace longspan {

namespace {

constexpr double kUnscored = -std::numeric_limits<double>::infinity();

/// As the file has it, for a name may hold bytes that are no UTF-8.
bool is_name(const Json& name, const StoredDocument& document) {
  return json_line(name) == json_line(document.name);
}

/// Takes the score of one line.
void read_score(const Json& line, const std::string& place, const TokenStore& store,
                std::vector<double>& scores) {
  Diagnostics diagnostics(place);
  Fields fields(line, diagnostics);
  int64_t index = -1, tokens = 0;
  Json name;
  double score = 0;
  fields.required("document", index);
  fields.required("name", name);
  fields.required("tokens", tokens);
  fields.required("score", score);
  diagnostics.throw_if_any(ExitCode::kData);
  const auto& documents = store.documents();
  const bool is_there = index >= 0 && index < std::ssize(documents);
  const StoredDocument* document = is_there ? &documents[static_cast<size_t>(index)] : nullptr;
  if (!document || !is_name(name, *document) || document->tokens != tokens) {
    fail(ExitCode::kData,
         "{}: document {} has {} tokens, and that of {} {}; score this store by longspan "
         "data-score",
         place, index, human_count(tokens), store.path(),
         document ? fmt::format("is '{}' of {}", document->name, human_count(document->tokens))
                  : "is none");
  }
  scores[static_cast<size_t>(index)] = score;
}

}  // namespace

std::vector<bool> documents_of_highest_scores(const std::filesystem::path& path, double share,
                                              const TokenStore& store) {
  const auto& documents = store.documents();
  std::vector<double> scores(documents.size(), kUnscored);
  int64_t number = 0;
  for (const auto& text : split(read_file(path, ExitCode::kData), '\n')) {
    const std::string place = fmt::format("{}:{}", path.string(), ++number);
    if (!text.empty()) {
      read_score(parse_json(text, place, ExitCode::kData), place, store, scores);
    }
  }
  std::vector<size_t> order(documents.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  if (!order.empty() && scores[order.back()] == kUnscored) {
    fail(ExitCode::kData,
         "{}: has no score of document {}, '{}'; score the whole store by longspan data-score",
         path.string(), order.back(), documents[order.back()].name);
  }
  const double wanted = share * static_cast<double>(store.info().tokens);
  std::vector<bool> kept(documents.size(), false);
  double tokens = 0;
  for (size_t i : order) {
    if (tokens > 0 && tokens >= wanted) break;
    kept[i] = true;
    tokens += static_cast<double>(documents[i].tokens);
  }
  return kept;
}

}  // namespace longspan
