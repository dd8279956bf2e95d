#include "trainer/eval/tasks/long_perplexity.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "data/documents/document_files.h"
#include "src/core/log.h"
#include "src/core/stopwatch.h"
#include "trainer/eval/arms/arm.h"
#include "trainer/eval/loss_report.h"
#include "trainer/eval/statistics.h"
#include "trainer/eval/tasks/evaluated_text.h"
#include "trainer/eval/tasks/key_tokens.h"

namespace longspan {

namespace {

const LossWords kKeyTokenWords{
    .axis = "length (tokens)",
    .losses = "Loss in nats of the key tokens",
    .figure = "Loss of the tokens that far context makes likelier; lower is better."};

/// The first `length` tokens of the text, BOS included if there is one.
std::vector<int64_t> beginning(const EvalSubject& subject, const EvaluatedText& text,
                               int64_t length) {
  const int64_t own = length - (subject.bos_token_id ? 1 : 0);
  return window_ids(text, 0, own, subject.bos_token_id);
}

TargetLosses losses_of(const EvalSubject& subject, Arm& arm) {
  return [&](const std::vector<int64_t>& ids, int64_t targets) {
    std::vector<double> nll = arm.target_nll(subject, ids, targets);
    if (!std::all_of(nll.begin(), nll.end(), [](double value) { return std::isfinite(value); })) {
      fail(ExitCode::kNonFinite,
           "longppl: the loss at length {} is not finite; try --dtype float32, or look at the "
           "model with 'longspan inspect'",
           ids.size());
    }
    return nll;
  };
}

/// What the key tokens of all texts of one length give.
struct KeyTokenLoss {
  std::vector<int64_t> places;
  std::vector<double> document_means;
  double sum = 0;
  int64_t bytes = 0;

  PerplexityRow row(int64_t length) const {
    const auto tokens = std::ssize(places);
    const double nll = sum / static_cast<double>(tokens);
    return {.length = length,
            .nll = nll,
            .nll_standard_error = standard_error(document_means),
            .ppl = std::exp(nll),
            .bits_per_byte = sum / (std::numbers::ln2 * static_cast<double>(bytes)),
            .tokens_scored = tokens,
            .document_nll = document_means};
  }
};

/// Chooses by full attention and scores by the subject's arm.
void add_text(const EvalSubject& subject, const std::vector<int64_t>& ids, KeyTokenFile& file,
              KeyTokenLoss& loss) {
  const std::unique_ptr<Arm> full = make_arm("full");
  const auto places = file.of(ids, losses_of(subject, *full));
  if (places.empty()) return;
  const auto nll = losses_of(subject, *subject.arm)(ids, std::ssize(ids) - places.front());
  std::vector<double> of_keys;
  for (const int64_t place : places) {
    of_keys.push_back(nll[place - places.front()]);
    loss.bytes += bytes_of(subject.tokenizer, ids, place, place + 1);
  }
  loss.sum += std::accumulate(of_keys.begin(), of_keys.end(), 0.0);
  loss.document_means.push_back(mean(of_keys));
  loss.places.insert(loss.places.end(), places.begin(), places.end());
}

}  // namespace

void LongPerplexity::read(Fields& fields) {
  fields.optional("text", text_);
  fields.in_range("documents", documents_, 0, int64_t{1} << 40);
  fields.in_range("short", short_, 1, int64_t{1} << 40);
  fields.in_range("block", block_, 1, int64_t{1} << 40);
  fields.in_range("alpha", alpha_, 0, 100);
  fields.in_range("beta", beta_, -100, 0);
  fields.optional("key_tokens", key_tokens_);
}

Json LongPerplexity::write() const {
  return {
      {"text", text_},   {"documents", documents_}, {"short", short_},          {"block", block_},
      {"alpha", alpha_}, {"beta", beta_},           {"key_tokens", key_tokens_}};
}

std::vector<std::filesystem::path> LongPerplexity::inputs() const {
  return text_.empty() ? std::vector<std::filesystem::path>{} : find_document_files(text_).paths;
}

void LongPerplexity::check(const EvalOptions& options) const {
  if (text_.empty()) {
    fail(ExitCode::kUsage, "longppl: no text given; name documents with --text FILE...");
  }
  const int64_t shortest = *std::min_element(options.lengths.begin(), options.lengths.end());
  if (shortest <= short_) {
    fail(ExitCode::kUsage,
         "longppl: a length of {} has no token with more than longppl.short = {} before it; give "
         "longer --lengths",
         shortest, short_);
  }
}

TaskResult LongPerplexity::run(const EvalSubject& subject, const EvalOptions& options) const {
  const Stopwatch whole;
  const int64_t longest = *std::max_element(options.lengths.begin(), options.lengths.end());
  const int64_t own = longest - (subject.bos_token_id ? 1 : 0);
  const auto texts = read_texts(subject, text_, name(), own, own, documents_);
  KeyTokenFile file(key_tokens_, {short_, block_, alpha_, beta_});
  TaskResult result{.task = std::string(name())};
  std::vector<int64_t> all_places;
  for (const int64_t length : options.lengths) {
    const Stopwatch one;
    KeyTokenLoss loss;
    for (const auto& text : texts) add_text(subject, beginning(subject, text, length), file, loss);
    if (!subject.arm->reads()) continue;
    all_places.insert(all_places.end(), loss.places.begin(), loss.places.end());
    if (loss.places.empty()) {
      log_warning_once(
          fmt::format("{}: no token of {} gains from far context; the length is left out", name(),
                      length_label(length)));
      continue;
    }
    PerplexityRow row = loss.row(length);
    row.seconds = one.seconds();
    result.rows.push_back(row.write());
  }
  if (!subject.arm->reads()) return result;
  file.save();
  if (result.rows.empty()) {
    fail(ExitCode::kData,
         "longppl: no token gains more than alpha = {} nats from far context; give texts that need "
         "it, or a smaller longppl.alpha",
         alpha_);
  }
  result.protocol = write();
  for (const char* path : {"text", "key_tokens"}) result.protocol.erase(path);
  result.protocol["rule"] =
      "LongPPL (arXiv 2410.23771): exp of the mean loss of key tokens; they are chosen by the "
      "evaluated model under full attention, or read from a file";
  result.protocol["key_tokens_digest"] = ids_digest(all_places);
  result.protocol["documents"] = text_digests(texts);
  result.protocol["bos_token_id"] =
      subject.bos_token_id ? Json(*subject.bos_token_id) : Json(nullptr);
  result.seconds = whole.seconds();
  return result;
}

void LongPerplexity::check_rows(const Json& rows, Diagnostics& diagnostics) const {
  read_rows<PerplexityRow>(rows, diagnostics);
}

std::vector<Table> LongPerplexity::tables(const std::vector<LabelledRows>& models,
                                          size_t reference) const {
  return loss_tables(kKeyTokenWords, read_models<PerplexityRow>(models), reference);
}

std::vector<Figure> LongPerplexity::figures(const std::vector<LabelledRows>& models) const {
  return loss_figures(kKeyTokenWords, read_models<PerplexityRow>(models));
}

}  // namespace longspan
