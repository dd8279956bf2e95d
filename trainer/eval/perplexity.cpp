#include "trainer/eval/perplexity.h"

#include <algorithm>

#include "src/core/stopwatch.h"
#include "src/core/text.h"
#include "trainer/eval/statistics.h"

namespace longspan {

void Perplexity::fields(FieldsIo& io) {
  LossTask::fields(io);
  io.whole("targets", targets_, {1, int64_t{1} << 40}, "scored tokens of a document");
}

void Perplexity::check(const EvalOptions& options) const {
  LossTask::check(options);
  const int64_t shortest = std::ranges::min(options.lengths);
  if (targets_ < shortest - 1) return;
  fail(ExitCode::kUsage,
       "perplexity: {} targets do not fit the shortest length {}, expected at least 1 and room for "
       "context before them; give a smaller --targets or longer --lengths",
       targets_, shortest);
}

std::vector<int64_t> context_window(const EvaluatedText& document, int64_t length,
                                    std::optional<int64_t> bos_token_id) {
  const int64_t end = std::ssize(document.ids), own = length - (bos_token_id ? 1 : 0);
  return window_ids(document, end - own, end, bos_token_id);
}

TaskResult Perplexity::score(const EvalSubject& subject, Material& material) const {
  const size_t lengths = material.lengths.size();
  std::vector<std::vector<double>> document_nll(lengths);
  std::vector<double> seconds(lengths, 0.0);
  ScoredTokens all{.tokens = targets_ * std::ssize(material.texts)};
  for (const auto& document : material.texts) {
    const int64_t end = std::ssize(document.ids);
    all.bytes += bytes_of(subject.tokenizer, document.ids, end - targets_, end);
    for (size_t i = 0; i < lengths; ++i) {
      const Stopwatch stopwatch;
      const int64_t length = material.lengths[i];
      document_nll[i].push_back(
          mean(losses(subject, context_window(document, length, subject.bos_token_id), targets_,
                      fmt::format("of {} at length {}", document.name, length))));
      seconds[i] += stopwatch.seconds();
    }
  }

  const int64_t bos = subject.bos_token_id ? 1 : 0;
  TaskResult result;
  result.protocol = {
      {"rule",
       "fixed-target context sweep: the same target tokens are scored at every length; a length is "
       "the number of tokens read (BOS included where there is one), the last of which are the "
       "targets; every document starts afresh; one reading a length, in as many passes as the arm "
       "takes, no sliding window"},
      {"average", "over all scored tokens, in nats; standard error over documents"},
      {"targets_per_document", targets_},
      {"target_end", std::ssize(material.texts.front().ids) + bos}};
  for (size_t i = 0; i < lengths; ++i) {
    // Documents count alike: each has `targets` tokens.
    const double nll = mean(document_nll[i]);
    all.nll_sum = nll * static_cast<double>(all.tokens);
    LossRow row = loss_row(material.lengths[i], nll, std::move(document_nll[i]), all);
    row.seconds = seconds[i];
    result.rows.push_back(row.write());
  }
  return result;
}

LossWords Perplexity::words(const LossRow& row) const {
  return {.axis = "context (tokens)",
          .losses = fmt::format("Loss in nats a token of the same {} tokens of {} document{}",
                                human_count(row.tokens_scored), row.document_nll.size(),
                                row.document_nll.size() == 1 ? "" : "s"),
          .figure = "Loss of the same tokens against the context they are given; lower is better."};
}

std::vector<Table> Perplexity::tables(const std::vector<LabelledRows>& models,
                                      size_t reference) const {
  std::vector<Table> tables = LossTask::tables(models, reference);
  const auto curves = read_models<LossRow>(models);
  const EffectiveLengths found = falling_losses(curves);
  if (!found.of_models.empty()) {
    tables.push_back(length_table("Where the loss stops falling: " + found.rule, curves, found));
  }
  return tables;
}

EffectiveLengths Perplexity::effective_lengths(const std::vector<LabelledRows>& models) const {
  return falling_losses(read_models<LossRow>(models));
}

}  // namespace longspan
