#include "trainer/eval/tasks/position_loss.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "data/documents/document_files.h"
#include "src/core/log.h"
#include "src/core/stopwatch.h"
#include "trainer/eval/arms/arm.h"
#include "trainer/eval/loss_report.h"
#include "trainer/eval/perplexity.h"
#include "trainer/eval/statistics.h"
#include "trainer/eval/tasks/evaluated_text.h"

namespace longspan {

namespace {

/// The losses of positions 1 .. length - 1.
std::vector<double> losses_by_position(const EvalSubject& subject, const EvaluatedText& text) {
  const auto ids = window_ids(text, 0, std::ssize(text.ids), subject.bos_token_id);
  std::vector<double> nll = subject.arm->target_nll(subject, ids, std::ssize(ids) - 1);
  if (!std::all_of(nll.begin(), nll.end(), [](double value) { return std::isfinite(value); })) {
    fail(ExitCode::kNonFinite,
         "position_loss: the loss of {} is not finite; try --dtype float32, or look at the model "
         "with 'longspan inspect'",
         text.name);
  }
  return nll;
}

const LossWords kPositionWords{
    .axis = "position (up to)",
    .losses = "Loss in nats a token of the positions from the column before on",
    .figure = "Loss by position in the text, a point at the end of its bucket; lower is better."};

}  // namespace

std::vector<PositionBucket> position_buckets(int64_t length) {
  std::vector<PositionBucket> buckets;
  int64_t begin = 1;
  for (int64_t end = 64; begin < length; end = end == 64 ? 256 : 2 * end) {
    buckets.push_back({begin, std::min(end, length)});
    begin = end;
  }
  return buckets;
}

void PositionLoss::read(Fields& fields) {
  fields.optional("text", text_);
  fields.in_range("documents", documents_, 0, int64_t{1} << 40);
}

Json PositionLoss::write() const { return {{"text", text_}, {"documents", documents_}}; }

std::vector<std::filesystem::path> PositionLoss::inputs() const {
  return text_.empty() ? std::vector<std::filesystem::path>{} : find_document_files(text_).paths;
}

void PositionLoss::check(const EvalOptions& options) const {
  (void)options;
  if (text_.empty()) {
    fail(ExitCode::kUsage, "position_loss: no text given; name documents with --text FILE...");
  }
}

TaskResult PositionLoss::run(const EvalSubject& subject, const EvalOptions& options) const {
  const Stopwatch whole;
  const int64_t length = *std::max_element(options.lengths.begin(), options.lengths.end());
  const int64_t bos = subject.bos_token_id ? 1 : 0;
  const std::vector<EvaluatedText> texts =
      read_texts(subject, text_, name(), length - bos, length - bos, documents_);
  const std::vector<PositionBucket> buckets = position_buckets(length);
  std::vector<PerplexityRow> rows(buckets.size());
  std::vector<int64_t> bytes(buckets.size(), 0);
  for (const auto& text : texts) {
    const std::vector<double> nll = losses_by_position(subject, text);
    for (size_t i = 0; i < buckets.size(); ++i) {
      const auto [begin, end] = buckets[i];
      rows[i].document_nll.push_back(mean({nll.begin() + begin - 1, nll.begin() + end - 1}));
      bytes[i] += bytes_of(subject.tokenizer, text.ids, begin - bos, end - bos);
    }
  }

  TaskResult result{
      .task = std::string(name()),
      .protocol = {{"rule",
                    "one pass over the first `length` tokens (BOS included where "
                    "there is one); the mean loss of the positions of each bucket"},
                   {"length", length},
                   {"documents", text_digests(texts)},
                   {"bos_token_id", bos ? Json(*subject.bos_token_id) : Json(nullptr)}}};
  for (size_t i = 0; i < buckets.size(); ++i) {
    PerplexityRow& row = rows[i];
    row.length = buckets[i].end;
    row.nll = mean(row.document_nll);
    row.nll_standard_error = standard_error(row.document_nll);
    row.ppl = std::exp(row.nll);
    row.tokens_scored = (buckets[i].end - buckets[i].begin) * std::ssize(texts);
    row.bits_per_byte = row.nll * static_cast<double>(row.tokens_scored) /
                        (std::numbers::ln2 * static_cast<double>(bytes[i]));
    row.seconds = whole.seconds() / static_cast<double>(buckets.size());
    Json json = row.write();
    json["begin"] = buckets[i].begin;
    result.rows.push_back(std::move(json));
  }
  result.seconds = whole.seconds();
  return result;
}

void PositionLoss::check_rows(const Json& rows, Diagnostics& diagnostics) const {
  read_rows<PerplexityRow>(rows, diagnostics);
}

std::vector<Table> PositionLoss::tables(const std::vector<LabelledRows>& models,
                                        size_t reference) const {
  return loss_tables(kPositionWords, read_models<PerplexityRow>(models), reference);
}

std::vector<Figure> PositionLoss::figures(const std::vector<LabelledRows>& models) const {
  return loss_figures(kPositionWords, read_models<PerplexityRow>(models));
}

}  // namespace longspan
