#include "trainer/eval/passkey.h"

#include <cmath>
#include <limits>
#include <set>

#include "src/core/stopwatch.h"
#include "trainer/eval/passkey_prompt.h"
#include "trainer/eval/statistics.h"

namespace longspan {

namespace {

constexpr int64_t kExtraNewTokens = 4;  // room for a newline or a word before the digits

}  // namespace

void Passkey::read(Fields& fields) {
  fields.optional("depths", depths_);
  if (depths_.empty()) fields.error("depths", "is empty, expected a list such as [0, 0.5, 1]");
  std::set<double> known;
  for (double depth : depths_) {
    if (!(depth >= 0 && depth <= 1)) {
      fields.error("depths", fmt::format("{} is not from 0 (start) to 1 (end)", depth));
    }
    if (!known.insert(depth).second) {
      fields.error("depths",
                   fmt::format("{} is there twice, which would count its keys twice", depth));
    }
  }
  fields.in_range("trials", trials_, 1, 10000);
  fields.in_range("seed", seed_, 0, std::numeric_limits<int64_t>::max());
}

Json Passkey::write() const { return {{"depths", depths_}, {"trials", trials_}, {"seed", seed_}}; }

void Passkey::take_share(double share) {
  trials_ = std::max<int64_t>(1, std::llround(share * static_cast<double>(trials_)));
}

PasskeyRow Passkey::run_cell(const EvalSubject& subject, int64_t length, double depth) const {
  const Stopwatch stopwatch;
  PasskeyRow row{.length = length, .depth = depth, .trials = trials_};
  auto trials = static_cast<double>(trials_);
  for (int64_t i = 0; i < trials_; ++i) {
    std::string key = draw_passkey(static_cast<uint64_t>(seed_), length, depth, i);
    auto prompt = build_passkey_prompt(subject.tokenizer, subject.bos_token_id, length, depth, key);
    prompt.item.question.max_new_tokens = std::ssize(prompt.tokens.answer) + kExtraNewTokens;
    auto reading = subject.arm->read_passage(subject, prompt.item.passage, length);
    const Answer answer = reading->ask(prompt.item.question);
    if (!std::isfinite(answer.nll)) {
      fail(
          ExitCode::kNonFinite,
          "passkey: the loss at length {} and depth {} is not finite; try --dtype float32, or look "
          "at the model with 'longspan inspect'",
          length, depth);
    }
    row.correct += first_digits(answer.text) == key ? 1 : 0;
    row.answer_nll += answer.nll / trials;
    row.answer_token_accuracy += answer.token_accuracy / trials;
    row.tokens_read += static_cast<double>(answer.tokens_read) / trials;
    if (answer.recall) row.recall = row.recall.value_or(0) + *answer.recall / trials;
    row.prompt_tokens += static_cast<double>(prompt.tokens.prompt.size()) / trials;
  }
  row.seconds = stopwatch.seconds();
  return row;
}

Json Passkey::protocol(const EvalSubject& subject) const {
  return {
      {"rule",
       "LongLoRA's passkey text with a five-digit key; filler cut by characters so that prompt and "
       "answer together have just at most `length` tokens (BOS included where there is one); depth "
       "is the share of the filler before the key; no chat template"},
      {"decoding",
       fmt::format("greedy, up to {} tokens more than the answer has", kExtraNewTokens)},
      {"correct_if", "the first five digits of the first number generated are the key"},
      {"interval", "Wilson, 95 %"},
      {"answer_nll", "nats a token of ' <key>' with the right tokens fed"},
      {"depths", depths_},
      {"trials", trials_},
      {"seed", seed_},
      {"bos_token_id", subject.bos_token_id ? Json(*subject.bos_token_id) : Json(nullptr)},
      {"tokenizer_fingerprint", subject.tokenizer.fingerprint()},
  };
}

TaskResult Passkey::run(const EvalSubject& subject, const EvalOptions& options) const {
  TaskResult result{.task = std::string(name()), .protocol = protocol(subject)};
  for (int64_t length : options.lengths) {
    for (double depth : depths_) {
      PasskeyRow row = run_cell(subject, length, depth);
      result.seconds += row.seconds;
      result.rows.push_back(row.write());
    }
  }
  return result;
}

}  // namespace longspan
