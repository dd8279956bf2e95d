#include "trainer/eval/arms/cached_reading.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>

#include "src/core/stopwatch.h"
#include "src/model/generate.h"
#include "src/nn/chunked_cross_entropy.h"
#include "trainer/eval/arms/model_change.h"

namespace longspan {

namespace {

constexpr int64_t kReadChunkTokens = 4096;
/// Of the passage's last ones, which a question may merge with: they are read with each question.
constexpr int64_t kTokensHeldBack = 8;

/// `ids` behind what the state holds, of which the first was the last of the prompt.
void feed(CausalLm& model, const std::vector<int64_t>& prompt, const std::vector<int64_t>& ids,
          ModelState state, double& nll, double& token_accuracy) {
  const at::Tensor& head = model.lm_head_weight();
  std::vector<int64_t> fed{prompt.back()};
  fed.insert(fed.end(), ids.begin(), ids.end() - 1);
  const at::Tensor input = at::tensor(fed, at::kLong).unsqueeze(0).to(head.device());
  const at::Tensor labels = at::tensor(ids, at::kLong).to(head.device());
  const at::Tensor hidden = model.hidden_states({input, {}, {}}, &state).squeeze(0);
  nll = token_cross_entropy(hidden, head, labels).mean(at::kDouble).item<double>();
  const at::Tensor guesses = at::linear(hidden, head).argmax(-1);
  token_accuracy = guesses.eq(labels).to(at::kDouble).mean().item<double>();
}

/// Among the distractors; ties count for the right answer.
int64_t rank_of(CausalLm& model, const ItemTokens& item, const ModelState& state, double nll) {
  int64_t rank = 1;
  for (const auto& distractor : item.distractors) {
    double other = 0, accuracy = 0;
    feed(model, item.prompt, distractor, state.fork(), other, accuracy);
    rank += other < nll ? 1 : 0;
  }
  return rank;
}

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
  read_shared(subject.model, item);
  answer.time.passage_seconds = whole.seconds();

  const Stopwatch own;
  ModelState state = state_.fork();
  const std::vector<int64_t> unread(item.prompt.begin() + state.length(), item.prompt.end() - 1);
  if (!unread.empty()) prefill(subject.model, unread, state, kReadChunkTokens);
  answer.time.first_token_seconds = own.seconds();
  feed(subject.model, item.prompt, item.answer, state.fork(), answer.nll, answer.token_accuracy);
  if (!std::isfinite(answer.nll)) return answer;
  if (!item.distractors.empty()) answer.rank = rank_of(subject.model, item, state, answer.nll);
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
