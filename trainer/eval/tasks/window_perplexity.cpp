#include "trainer/eval/tasks/window_perplexity.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "data/documents/document_files.h"
#include "src/core/log.h"
#include "src/core/stopwatch.h"
#include "src/core/text.h"
#include "trainer/eval/arms/arm.h"
#include "trainer/eval/loss_report.h"
#include "trainer/eval/perplexity.h"
#include "trainer/eval/statistics.h"
#include "trainer/eval/tasks/evaluated_text.h"
#include "trainer/eval/tasks/window_protocol.h"

namespace longspan {

namespace {

const LossWords kWindowWords{
    .axis = "window (tokens)",
    .losses = "Loss in nats a token of windows",
    .figure =
        "Loss of the tokens that the protocol scores against the length of its windows; "
        "lengths differ in the tokens scored too."};

/// What the windows of one text give.
struct TextLoss {
  std::vector<double> window_means;
  double sum = 0;
  int64_t tokens = 0, bytes = 0;

  double mean_by(const WindowProtocol& protocol) const {
    return protocol.averages_windows ? mean(window_means) : sum / static_cast<double>(tokens);
  }
};

TextLoss loss_of_windows(const EvalSubject& subject, const WindowProtocol& protocol,
                         const EvaluatedText& text, int64_t length, int64_t stride) {
  const auto bos = protocol.takes_bos ? subject.bos_token_id : std::nullopt;
  TextLoss loss;
  for (const auto& [begin, end, targets] :
       protocol.windows(std::ssize(text.ids), length, stride, bos.has_value())) {
    const std::vector<double> nll =
        subject.arm->target_nll(subject, window_ids(text, begin, end, bos), targets);
    const double sum = std::accumulate(nll.begin(), nll.end(), 0.0);
    if (!std::isfinite(sum)) {
      fail(ExitCode::kNonFinite,
           "window_perplexity: the loss of {} at length {} is not finite; try --dtype float32, or "
           "look at the model with 'longspan inspect'",
           text.name, length);
    }
    loss.window_means.push_back(sum / static_cast<double>(targets));
    loss.sum += sum;
    loss.tokens += targets;
    loss.bytes += bytes_of(subject.tokenizer, text.ids, end - targets, end);
  }
  return loss;
}

/// All documents as one.
EvaluatedText concatenated(const std::vector<EvaluatedText>& texts) {
  EvaluatedText all{.name = "all documents", .ids = {}};
  for (const auto& text : texts) all.ids.insert(all.ids.end(), text.ids.begin(), text.ids.end());
  return all;
}

PerplexityRow row_of(const std::vector<TextLoss>& losses, const WindowProtocol& protocol,
                     int64_t length) {
  TextLoss all;
  PerplexityRow row{.length = length};
  for (const auto& loss : losses) {
    row.document_nll.push_back(loss.mean_by(protocol));
    all.window_means.insert(all.window_means.end(), loss.window_means.begin(),
                            loss.window_means.end());
    all.sum += loss.sum;
    all.tokens += loss.tokens;
    all.bytes += loss.bytes;
  }
  row.nll = all.mean_by(protocol);
  row.nll_standard_error = standard_error(row.document_nll);
  row.ppl = std::exp(row.nll);
  row.tokens_scored = all.tokens;
  row.bits_per_byte = all.sum / (std::numbers::ln2 * static_cast<double>(all.bytes));
  return row;
}

}  // namespace

void WindowPerplexity::read(Fields& fields) {
  std::vector<std::string> names;
  for (const auto& protocol : window_protocols()) names.emplace_back(protocol.name);
  fields.choice("protocol", protocol_, names);
  fields.in_range("stride", stride_, 1, int64_t{1} << 40);
  fields.optional("text", text_);
  fields.in_range("documents", documents_, 0, int64_t{1} << 40);
  fields.in_range("tokens", tokens_, 0, int64_t{1} << 40);
}

Json WindowPerplexity::write() const {
  return {{"protocol", protocol_},
          {"stride", stride_},
          {"text", text_},
          {"documents", documents_},
          {"tokens", tokens_}};
}

std::vector<std::filesystem::path> WindowPerplexity::inputs() const {
  return text_.empty() ? std::vector<std::filesystem::path>{} : find_document_files(text_).paths;
}

void WindowPerplexity::check(const EvalOptions& options) const {
  if (text_.empty()) {
    fail(ExitCode::kUsage, "window_perplexity: no text given; name documents with --text FILE...");
  }
  const int64_t shortest = *std::min_element(options.lengths.begin(), options.lengths.end());
  if (protocol_ != "chunked" && stride_ >= shortest - 1) {
    fail(
        ExitCode::kUsage,
        "window_perplexity: a stride of {} leaves no context in windows of {}, expected less; give "
        "a smaller window_perplexity.stride or longer --lengths",
        stride_, shortest);
  }
}

TaskResult WindowPerplexity::run(const EvalSubject& subject, const EvalOptions& options) const {
  const Stopwatch whole;
  const WindowProtocol& protocol = window_protocol(protocol_);
  const int64_t longest = *std::max_element(options.lengths.begin(), options.lengths.end());
  const std::vector<EvaluatedText> read =
      read_texts(subject, text_, name(), protocol.concatenates ? 2 : longest, tokens_, documents_);
  const std::vector<EvaluatedText> texts =
      protocol.concatenates ? std::vector<EvaluatedText>{concatenated(read)} : read;

  TaskResult result{.task = std::string(name()), .protocol = write()};
  result.protocol.erase("text");
  result.protocol["rule"] = protocol.rule;
  result.protocol["bos_token_id"] =
      subject.bos_token_id && protocol.takes_bos ? Json(*subject.bos_token_id) : Json(nullptr);
  result.protocol["documents"] = text_digests(read);
  for (const int64_t length : options.lengths) {
    const Stopwatch one;
    std::vector<TextLoss> losses;
    for (const auto& text : texts) {
      TextLoss& loss =
          losses.emplace_back(loss_of_windows(subject, protocol, text, length, stride_));
      if (loss.window_means.empty()) {
        fail(ExitCode::kData,
             "window_perplexity: {} tokens of {} have no window of {}; give longer documents or "
             "smaller --lengths",
             human_count(std::ssize(text.ids)), text.name, length);
      }
    }
    PerplexityRow row = row_of(losses, protocol, length);
    row.seconds = one.seconds();
    result.rows.push_back(row.write());
  }
  result.seconds = whole.seconds();
  return result;
}

void WindowPerplexity::check_rows(const Json& rows, Diagnostics& diagnostics) const {
  read_rows<PerplexityRow>(rows, diagnostics);
}

std::vector<Table> WindowPerplexity::tables(const std::vector<LabelledRows>& models,
                                            size_t reference) const {
  return loss_tables(kWindowWords, read_models<PerplexityRow>(models), reference);
}

std::vector<Figure> WindowPerplexity::figures(const std::vector<LabelledRows>& models) const {
  return loss_figures(kWindowWords, read_models<PerplexityRow>(models));
}

}  // namespace longspan
