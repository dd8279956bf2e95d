#include "trainer/eval/arms/cached_reading.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "src/core/stopwatch.h"
#include "src/model/generate.h"
#include "src/nn/device.h"
#include "trainer/eval/arms/model_change.h"
#include "trainer/eval/arms/teacher_forcing.h"

namespace longspan {

namespace {

constexpr int64_t kReadChunkTokens = 4096;
/// Of the passage's last ones, which a question may merge with: they are read with each question.
constexpr int64_t kTokensHeldBack = 8;

void generate_answer(const EvalSubject& subject, const ItemTokens& item, int64_t max_new_tokens,
                     ModelState& state, Answer& answer) {
  const GenerateOptions greedy{
      .max_new_tokens = max_new_tokens,
      .never = ids_without_token(subject.tokenizer, subject.model.config().vocab_size)};
  const Stopwatch stopwatch;
  double first = 0, last = 0;
  const auto on_token = [&](int64_t) {
    last = stopwatch.seconds();
    if (first == 0) first = last;
    return true;
  };
  const auto ids = generate(subject.model, {item.prompt.back()}, greedy, on_token, &state);
  answer.text = subject.tokenizer.decode({ids.begin(), ids.end()}, true);
  answer.time.first_token_seconds += ids.empty() ? stopwatch.seconds() : first;
  answer.time.decode_seconds = last - first;
  answer.time.generated_tokens = std::ssize(ids);
}

}  // namespace

/// Where a question changes what was read, it is read again.
void PromptReader::read_shared(CausalLm& model, const ItemTokens& item) {
  const auto same = std::mismatch(read_.begin(), read_.end(), item.prompt.begin(),
                                  item.prompt.end() - 1);  // the last one gives the first logits
  if (!read_.empty() && same.first == read_.end()) return;
  const int64_t shared = std::min(item.context_end, std::ssize(item.prompt) - 1) - kTokensHeldBack;
  read_.assign(item.prompt.begin(), item.prompt.begin() + std::max<int64_t>(0, shared));
  state_ = {};
  if (!read_.empty()) prefill(model, read_, state_, kReadChunkTokens);
}

Answer PromptReader::ask(const EvalSubject& subject, const ItemTokens& item,
                         int64_t max_new_tokens) {
  const at::NoGradGuard no_gradients;
  Answer answer{.tokens_read = std::ssize(item.prompt)};
  const Stopwatch whole;
  const at::Device device = subject.model.lm_head_weight().device();
  read_shared(subject.model, item);
  synchronize(device);
  answer.time.passage_seconds = whole.seconds();

  const Stopwatch own;
  ModelState state = state_.fork();
  const std::vector<int64_t> unread(item.prompt.begin() + state.length(), item.prompt.end() - 1);
  if (!unread.empty()) prefill(subject.model, unread, state, kReadChunkTokens);
  synchronize(device);
  answer.time.first_token_seconds = own.seconds();
  const auto prompt_read = [&](int64_t) -> const ModelState& { return state; };
  const FedAnswer fed = feed_answer(subject.model, item, prompt_read, FedLengths::kAlike);
  fed.put_into(answer);
  if (!std::isfinite(answer.nll)) return answer;
  generate_answer(subject, item, max_new_tokens, state, answer);
  return answer;
}

CachedReading::CachedReading(const EvalSubject& subject, Passage passage, const ReadingArm& arm,
                             int64_t length)
    : subject_(subject), passage_(std::move(passage)), arm_(arm), length_(length) {}

Answer CachedReading::ask(const Question& question) {
  const ModelChange restored(subject_.model);
  arm_.change(subject_.model, length_);
  const ItemTokens item =
      tokenize_item(subject_.tokenizer, subject_.bos_token_id, passage_, question);
  return reader_.ask(subject_, item, question.max_new_tokens);
}

}  // namespace longspan
