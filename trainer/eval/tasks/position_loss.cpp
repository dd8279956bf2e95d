#include "trainer/eval/tasks/position_loss.h"

#include <algorithm>

#include "src/core/stopwatch.h"
#include "trainer/eval/statistics.h"

namespace longspan {

std::vector<PositionBucket> position_buckets(int64_t length) {
  std::vector<PositionBucket> buckets;
  int64_t begin = 1;
  for (int64_t end = 64; begin < length; end = end == 64 ? 256 : 2 * end) {
    buckets.push_back({begin, std::min(end, length)});
    begin = end;
  }
  return buckets;
}

TaskResult PositionLoss::score(const EvalSubject& subject, Material& material) const {
  const Stopwatch stopwatch;
  const int64_t length = material.lengths.back(), bos = subject.bos_token_id ? 1 : 0;
  const std::vector<PositionBucket> buckets = position_buckets(length);
  std::vector<std::vector<double>> document_nll(buckets.size());
  std::vector<int64_t> bytes(buckets.size(), 0);
  for (const auto& text : material.texts) {
    const auto ids = window_ids(text, 0, length - bos, subject.bos_token_id);
    const auto nll = losses(subject, ids, length - 1, "of " + text.name);  // of positions from 1 on
    for (size_t i = 0; i < buckets.size(); ++i) {
      const auto [begin, end] = buckets[i];
      document_nll[i].push_back(mean({nll.begin() + begin - 1, nll.begin() + end - 1}));
      bytes[i] += bytes_of(subject.tokenizer, text.ids, begin - bos, end - bos);
    }
  }

  TaskResult result;
  result.protocol = {{"rule",
                      "one reading of the first `length` tokens (BOS included where there is "
                      "one); the mean loss of the positions of each bucket"},
                     {"length", length}};
  for (size_t i = 0; i < buckets.size(); ++i) {
    const auto [begin, end] = buckets[i];
    const double nll = mean(document_nll[i]);
    const int64_t tokens = (end - begin) * std::ssize(material.texts);
    LossRow row = loss_row(end, nll, std::move(document_nll[i]),
                           {nll * static_cast<double>(tokens), tokens, bytes[i]});
    row.seconds = stopwatch.seconds() / static_cast<double>(buckets.size());
    Json json = row.write();
    json["begin"] = begin;
    result.rows.push_back(std::move(json));
  }
  return result;
}

LossWords PositionLoss::words(const LossRow&) const {
  return {
      .axis = "position (up to)",
      .losses = "Loss in nats a token of the positions from the column before on",
      .figure = "Loss by position in the text, a point at the end of its bucket; lower is better."};
}

}  // namespace longspan
