#include "trainer/eval/arms/whole_length_reading.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>

#include "src/attention/key_value_cache.h"
#include "src/core/stopwatch.h"
#include "src/nn/device.h"
#include "trainer/eval/arms/model_change.h"
#include "trainer/eval/arms/teacher_forcing.h"

namespace longspan {

namespace {

constexpr int64_t kReadPassTokens = 4096;

/// A model that has read a prompt but for its last token, as the beginning of a longer sequence.
class PromptOfLength {
 public:
  PromptOfLength(CausalLm& model, const std::vector<int64_t>& prompt)
      : model_(model), prompt_(prompt.begin(), prompt.end() - 1) {}

  /// With so many tokens to come.
  const ModelState& before(int64_t tokens) {
    const int64_t length = std::ssize(prompt_) + tokens;
    if (length == length_) return state_;
    state_ = {};
    for (int64_t layer = 0; layer < model_.config().num_hidden_layers; ++layer) {
      state_.layers.push_back(std::make_shared<KeyValueCache>());
    }
    const at::Tensor ids =
        at::tensor(prompt_, at::kLong).unsqueeze(0).to(model_.lm_head_weight().device());
    for (int64_t begin = 0; begin < ids.size(1); begin += kReadPassTokens) {
      const int64_t tokens_of_pass = std::min(kReadPassTokens, ids.size(1) - begin);
      model_.hidden_states({ids.narrow(1, begin, tokens_of_pass), {}, {}, length}, &state_);
    }
    length_ = length;
    return state_;
  }

 private:
  CausalLm& model_;
  std::vector<int64_t> prompt_;
  ModelState state_;
  int64_t length_ = 0;  // of the sequence that state_ begins
};

}  // namespace

WholeLengthReading::WholeLengthReading(const EvalSubject& subject, Passage passage,
                                       const ReadingArm& arm, int64_t length)
    : subject_(subject), passage_(std::move(passage)), arm_(arm), length_(length) {}

Answer WholeLengthReading::ask(const Question& question) {
  const at::NoGradGuard no_gradients;
  const ModelChange restored(subject_.model);
  arm_.change(subject_.model, length_);
  const ItemTokens item =
      tokenize_item(subject_.tokenizer, subject_.bos_token_id, passage_, question);
  Answer answer{.tokens_read = std::ssize(item.prompt)};
  PromptOfLength prompt(subject_.model, item.prompt);
  const Stopwatch stopwatch;
  prompt.before(std::ssize(item.answer));
  synchronize(subject_.model.lm_head_weight().device());
  answer.time.first_token_seconds = stopwatch.seconds();
  const auto prompt_read = [&](int64_t tokens) -> const ModelState& {
    return prompt.before(tokens);
  };
  const FedAnswer fed = feed_answer(subject_.model, item, prompt_read, FedLengths::kEqual);
  fed.put_into(answer);
  if (!std::isfinite(answer.nll)) return answer;
  std::vector<int32_t> told;
  for (size_t i = 0; i < item.answer.size(); ++i) {
    told.push_back(static_cast<int32_t>(fed.choices[i]));
    if (fed.choices[i] != item.answer[i]) break;
  }
  answer.text = subject_.tokenizer.decode(told, true);
  return answer;
}

}  // namespace longspan
