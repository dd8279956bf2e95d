#include "trainer/eval/tasks/window_perplexity.h"

#include <algorithm>
#include <numeric>

#include "src/core/stopwatch.h"
#include "src/core/text.h"
#include "trainer/eval/statistics.h"
#include "trainer/eval/tasks/window_protocol.h"

namespace longspan {

namespace {

/// What the windows of one text give.
struct TextLoss {
  std::vector<double> window_means = {};
  ScoredTokens scored = {};

  double weight_in(const WindowProtocol& protocol) const {
    return static_cast<double>(protocol.averages_windows ? std::ssize(window_means)
                                                         : scored.tokens);
  }
  double mean_by(const WindowProtocol& protocol) const {
    return protocol.averages_windows ? mean(window_means)
                                     : scored.nll_sum / static_cast<double>(scored.tokens);
  }
  void add(const TextLoss& other) {
    window_means.insert(window_means.end(), other.window_means.begin(), other.window_means.end());
    scored.nll_sum += other.scored.nll_sum;
    scored.tokens += other.scored.tokens;
    scored.bytes += other.scored.bytes;
  }
};

/// All documents as one.
EvaluatedText concatenated(std::span<const EvaluatedText> texts) {
  EvaluatedText all{.name = "all documents", .ids = {}};
  for (const auto& text : texts) all.ids.insert(all.ids.end(), text.ids.begin(), text.ids.end());
  return all;
}

LossRow row_of(const std::vector<TextLoss>& losses, const WindowProtocol& protocol,
               int64_t length) {
  TextLoss all;
  std::vector<double> document_nll, weights;
  for (const auto& loss : losses) {
    document_nll.push_back(loss.mean_by(protocol));
    weights.push_back(loss.weight_in(protocol));
    all.add(loss);
  }
  return loss_row(length, all.mean_by(protocol), std::move(document_nll), all.scored,
                  std::move(weights));
}

}  // namespace

void WindowPerplexity::fields(FieldsIo& io) {
  LossTask::fields(io);
  std::vector<std::string> names;
  for (const auto& protocol : window_protocols()) names.emplace_back(protocol.name);
  io.choice("protocol", protocol_, names, "who computes it so (window_protocol.h)");
  io.whole("stride", stride_, {1, int64_t{1} << 40}, "tokens that a window moves on by");
  io.whole("tokens", tokens_, {0, int64_t{1} << 40}, "the first so many of each document",
           {.otherwise = "all"});
}

void WindowPerplexity::check(const EvalOptions& options) const {
  LossTask::check(options);
  const int64_t longest = std::ranges::max(options.lengths);
  if (tokens_ > 0 && tokens_ < longest && !window_protocol(protocol_).concatenates) {
    fail(ExitCode::kUsage,
         "window_perplexity: tokens={} leaves no window of {}, expected as many or more; give a "
         "larger window_perplexity.tokens or shorter --lengths",
         tokens_, longest);
  }
  const int64_t shortest = std::ranges::min(options.lengths);
  if (protocol_ == "chunked" || stride_ < shortest - 1) return;
  fail(ExitCode::kUsage,
       "window_perplexity: a stride of {} leaves no context in windows of {}, expected less; give "
       "a smaller window_perplexity.stride or longer --lengths",
       stride_, shortest);
}

LossTask::Extent WindowPerplexity::extent(int64_t longest, int64_t) const {
  return {window_protocol(protocol_).concatenates ? 2 : longest, tokens_};
}

bool WindowPerplexity::takes_bos() const { return window_protocol(protocol_).takes_bos; }

TaskResult WindowPerplexity::score(const EvalSubject& subject, Material& material) const {
  const WindowProtocol& protocol = window_protocol(protocol_);
  const auto bos = protocol.takes_bos ? subject.bos_token_id : std::nullopt;
  const auto loss_of = [&](const EvaluatedText& text, int64_t length) {
    const std::string where = fmt::format("of {} at length {}", text.name, length);
    TextLoss loss;
    for (const auto& [begin, end, targets] :
         protocol.windows(std::ssize(text.ids), length, stride_, bos.has_value())) {
      const auto nll = losses(subject, window_ids(text, begin, end, bos), targets, where);
      const double sum = std::accumulate(nll.begin(), nll.end(), 0.0);
      loss.add({{sum / static_cast<double>(targets)},
                {sum, targets, bytes_of(subject.tokenizer, text.ids, end - targets, end)}});
    }
    if (!loss.window_means.empty()) return loss;
    fail(ExitCode::kData,
         "window_perplexity: {} tokens of {} have no window of {}; give longer documents or "
         "smaller --lengths",
         human_count(std::ssize(text.ids)), text.name, length);
  };

  TaskResult result;
  result.protocol = write();
  result.protocol.erase("text");
  result.protocol["rule"] = protocol.rule;
  std::vector<EvaluatedText> joined;
  if (protocol.concatenates) joined.push_back(concatenated(material.texts));
  const std::span<const EvaluatedText> texts =
      protocol.concatenates ? std::span<const EvaluatedText>(joined) : material.texts;
  for (const int64_t length : material.lengths) {
    const Stopwatch one;
    std::vector<TextLoss> of_texts;
    for (const auto& text : texts) of_texts.push_back(loss_of(text, length));
    LossRow row = row_of(of_texts, protocol, length);
    row.seconds = one.seconds();
    Json json = row.write();
    json["protocol"] = protocol_;
    result.rows.push_back(std::move(json));
  }
  return result;
}

std::vector<Table> WindowPerplexity::tables(const std::vector<LabelledRows>& models,
                                            size_t reference) const {
  std::vector<Table> tables = LossTask::tables(models, reference);
  const Json& row = models.at(reference).rows.at(0);
  if (!row.contains("protocol") || !row["protocol"].is_string()) return tables;
  const auto protocol = row["protocol"].get<std::string>();
  for (Table& table : tables) table.title = fmt::format("Protocol {}: {}", protocol, table.title);
  return tables;
}

LossWords WindowPerplexity::words(const LossRow&) const {
  return {.axis = "window (tokens)",
          .losses = "Loss in nats a token of windows",
          .figure =
              "Loss of the tokens that the protocol scores against the length of its windows; "
              "lengths differ in the tokens scored too."};
}

}  // namespace longspan
