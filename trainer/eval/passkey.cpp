#include "trainer/eval/passkey.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <limits>
#include <set>

#include "src/core/log.h"
#include "src/core/stopwatch.h"
#include "src/model/generate.h"
#include "src/nn/chunked_cross_entropy.h"
#include "trainer/eval/passkey_prompt.h"
#include "trainer/eval/statistics.h"

namespace longspan {

namespace {

constexpr int64_t kExtraNewTokens = 4;  // room for a newline or a word before the digits
constexpr int64_t kPrefillChunkTokens = 4096;

struct Trial {
  bool correct = false;
  double answer_nll = 0;
  double answer_token_accuracy = 0;
};

/// One prefill for both: `state` holds the prompt but for its last token.
void feed_answer(const EvalSubject& subject, const PasskeyPrompt& prompt, ModelState state,
                 Trial& trial) {
  const at::Tensor& head = subject.model.lm_head_weight();
  std::vector<int64_t> fed{prompt.ids.back()};
  fed.insert(fed.end(), prompt.answer_ids.begin(), prompt.answer_ids.end() - 1);
  at::Tensor ids = at::tensor(fed, at::kLong).unsqueeze(0).to(head.device());  // [1, answer]
  at::Tensor answer = at::tensor(prompt.answer_ids, at::kLong).to(head.device());
  at::Tensor hidden = subject.model.hidden_states({ids, {}, {}}, &state).squeeze(0);
  at::Tensor guesses = at::linear(hidden, head).argmax(-1);
  trial.answer_nll = token_cross_entropy(hidden, head, answer).mean(at::kDouble).item<double>();
  trial.answer_token_accuracy = guesses.eq(answer).to(at::kDouble).mean().item<double>();
}

/// Ends before the model generates where its loss is not finite.
Trial ask(const EvalSubject& subject, const PasskeyPrompt& prompt, const std::string& key) {
  at::NoGradGuard no_gradients;
  ModelState state;
  prefill(subject.model, {prompt.ids.begin(), prompt.ids.end() - 1}, state, kPrefillChunkTokens);
  Trial trial;
  feed_answer(subject, prompt, state.fork(), trial);
  if (!std::isfinite(trial.answer_nll)) return trial;
  GenerateOptions greedy{
      .max_new_tokens = static_cast<int64_t>(prompt.answer_ids.size()) + kExtraNewTokens,
      .never = ids_without_token(subject.tokenizer, subject.model.config().vocab_size)};
  auto ids = generate(subject.model, {prompt.ids.back()}, greedy, {}, &state);
  trial.correct = first_digits(subject.tokenizer.decode({ids.begin(), ids.end()}, true)) == key;
  return trial;
}

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

PasskeyRow Passkey::run_cell(const EvalSubject& subject, int64_t length, double depth) const {
  const Stopwatch stopwatch;
  PasskeyRow row{.length = length, .depth = depth, .trials = trials_};
  auto trials = static_cast<double>(trials_);
  for (int64_t i = 0; i < trials_; ++i) {
    std::string key = draw_passkey(static_cast<uint64_t>(seed_), length, depth, i);
    auto prompt = build_passkey_prompt(subject.tokenizer, subject.bos_token_id, length, depth, key);
    Trial trial = ask(subject, prompt, key);
    if (!std::isfinite(trial.answer_nll)) {
      fail(
          ExitCode::kNonFinite,
          "passkey: the loss at length {} and depth {} is not finite; try --dtype float32, or look "
          "at the model with 'longspan inspect'",
          length, depth);
    }
    row.correct += trial.correct ? 1 : 0;
    row.answer_nll += trial.answer_nll / trials;
    row.answer_token_accuracy += trial.answer_token_accuracy / trials;
    row.prompt_tokens += static_cast<double>(prompt.ids.size()) / trials;
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
      log_info(fmt::format("passkey {} at depth {:.0f} %: {}/{}, answer loss {:.3f}, {:.1f} s",
                           length_label(length), depth * 100, row.correct, row.trials,
                           row.answer_nll, row.seconds));
      result.seconds += row.seconds;
      result.rows.push_back(row.write());
    }
  }
  return result;
}

}  // namespace longspan
