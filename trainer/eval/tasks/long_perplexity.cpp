#include "trainer/eval/tasks/long_perplexity.h"

#include <algorithm>
#include <numeric>

#include "src/core/log.h"
#include "src/core/stopwatch.h"
#include "trainer/eval/arms/full.h"
#include "trainer/eval/statistics.h"

namespace longspan {

/// What the key tokens of all texts of one length give.
struct LongPerplexity::KeyTokenLoss {
  std::vector<int64_t> places = {};
  std::vector<double> document_means = {}, document_tokens = {};
  ScoredTokens scored = {};

  /// `nll` is of the tokens from the first of `keys` on.
  void add(const Tokenizer& tokenizer, const std::vector<int64_t>& ids,
           const std::vector<int64_t>& keys, const std::vector<double>& nll) {
    std::vector<double> of_keys;
    for (const int64_t place : keys) {
      of_keys.push_back(nll[place - keys.front()]);
      scored.bytes += bytes_of(tokenizer, ids, place, place + 1);
    }
    scored.nll_sum += std::accumulate(of_keys.begin(), of_keys.end(), 0.0);
    scored.tokens += std::ssize(keys);
    document_means.push_back(mean(of_keys));
    document_tokens.push_back(static_cast<double>(keys.size()));
    places.insert(places.end(), keys.begin(), keys.end());
  }
};

void LongPerplexity::fields(FieldsIo& io) {
  LossTask::fields(io);
  io.whole("short", short_, {1, int64_t{1} << 40}, "tokens of s_i, at least");
  io.whole("block", block_, {1, int64_t{1} << 40},
           "s_i begins anew each so many tokens, and has up to short + block");
  io.number("alpha", alpha_, {0, 100}, "what LSD must be more than");
  io.number("beta", beta_, {-100, 0}, "what LCL must be more than");
  io.text("key_tokens", key_tokens_,
          "a file of the key tokens, written where it is missing, so that other models are scored "
          "on the same");
}

void LongPerplexity::check(const EvalOptions& options) const {
  LossTask::check(options);
  const int64_t shortest = std::ranges::min(options.lengths);
  if (shortest > short_) return;
  fail(ExitCode::kUsage,
       "longppl: a length of {} has no token with more than longppl.short = {} before it; give "
       "longer --lengths",
       shortest, short_);
}

LongPerplexity::KeyTokenLoss LongPerplexity::loss_at(int64_t length, const EvalSubject& subject,
                                                     const Material& material,
                                                     KeyTokenFile& file) const {
  const EvalSubject chooser{material.model, subject.tokenizer, subject.bos_token_id,
                            std::make_shared<FullArm>()};
  const std::string where = fmt::format("at length {}", length);
  const TargetLosses by_full = [&](const std::vector<int64_t>& ids, int64_t targets) {
    return losses(chooser, ids, targets, where);
  };
  KeyTokenLoss loss;
  for (const auto& text : material.texts) {
    const int64_t own = length - (subject.bos_token_id ? 1 : 0);
    const auto ids = window_ids(text, 0, own, subject.bos_token_id);
    if (!subject.arm->reads()) {  // what the key tokens are is not known yet
      losses(subject, ids, length - short_, where);
      continue;
    }
    const auto keys = file.of(ids, by_full);
    if (keys.empty()) continue;
    loss.add(subject.tokenizer, ids, keys, losses(subject, ids, length - keys.front(), where));
  }
  return loss;
}

TaskResult LongPerplexity::score(const EvalSubject& subject, Material& material) const {
  KeyTokenFile file(key_tokens_, {short_, block_, alpha_, beta_}, material.notes);
  TaskResult result;
  std::vector<int64_t> all_places;
  for (const int64_t length : material.lengths) {
    const Stopwatch stopwatch;
    KeyTokenLoss loss = loss_at(length, subject, material, file);
    if (!subject.arm->reads()) continue;
    if (loss.places.empty()) {
      log_warning_once(
          fmt::format("{}: no token of {} gains from far context; the length is left out", name(),
                      length_label(length)));
      continue;
    }
    all_places.insert(all_places.end(), loss.places.begin(), loss.places.end());
    const double nll = loss.scored.nll_sum / static_cast<double>(loss.scored.tokens);
    LossRow row = loss_row(length, nll, std::move(loss.document_means), loss.scored,
                           std::move(loss.document_tokens));
    row.seconds = stopwatch.seconds();
    result.rows.push_back(row.write());
  }
  if (!subject.arm->reads()) return result;
  file.save();
  material.notes = file.places();
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
  return result;
}

LossWords LongPerplexity::words(const LossRow&) const {
  return {.axis = "length (tokens)",
          .losses = "Loss in nats of the key tokens",
          .figure = "Loss of the tokens that far context makes likelier; lower is better."};
}

}  // namespace longspan
