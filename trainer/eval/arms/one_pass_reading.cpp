#include "trainer/eval/arms/one_pass_reading.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/tensor.h>

#include <cmath>

#include "src/core/stopwatch.h"
#include "src/nn/chunked_cross_entropy.h"
#include "trainer/eval/arms/model_change.h"

namespace longspan {

namespace {

struct WholePass {
  double nll = 0;
  std::vector<int64_t> choices;  // the model's first ones, in place of the answer's tokens
};

WholePass read_whole(CausalLm& model, const std::vector<int64_t>& prompt,
                     const std::vector<int64_t>& answer) {
  const at::NoGradGuard no_gradients;
  const at::Tensor& head = model.lm_head_weight();
  std::vector<int64_t> ids = prompt;
  ids.insert(ids.end(), answer.begin(), answer.end() - 1);
  const at::Tensor input = at::tensor(ids, at::kLong).unsqueeze(0).to(head.device());
  const at::Tensor labels = at::tensor(answer, at::kLong).to(head.device());
  const at::Tensor hidden = model.hidden_states({input, {}, {}}).squeeze(0);
  const at::Tensor rows = hidden.narrow(0, std::ssize(prompt) - 1, std::ssize(answer));
  const at::Tensor guesses = at::linear(rows, head).argmax(-1).cpu();
  const auto* first = guesses.const_data_ptr<int64_t>();
  return {token_cross_entropy(rows, head, labels).mean(at::kDouble).item<double>(),
          {first, first + guesses.numel()}};
}

}  // namespace

OnePassReading::OnePassReading(const EvalSubject& subject, Passage passage, const ReadingArm& arm,
                               int64_t length)
    : subject_(subject), passage_(std::move(passage)), arm_(arm), length_(length) {}

Answer OnePassReading::ask(const Question& question) {
  const ModelChange restored(subject_.model);
  arm_.change(subject_.model, length_);
  const ItemTokens item =
      tokenize_item(subject_.tokenizer, subject_.bos_token_id, passage_, question);
  const Stopwatch stopwatch;
  const WholePass pass = read_whole(subject_.model, item.prompt, item.answer);
  Answer answer{.nll = pass.nll, .tokens_read = std::ssize(item.prompt)};
  answer.time.first_token_seconds = stopwatch.seconds();
  if (!std::isfinite(answer.nll)) return answer;

  std::vector<int32_t> told;
  double right = 0;
  bool alike = true;
  for (size_t i = 0; i < item.answer.size(); ++i) {
    if (alike) told.push_back(static_cast<int32_t>(pass.choices[i]));
    right += pass.choices[i] == item.answer[i] ? 1 : 0;
    alike = alike && pass.choices[i] == item.answer[i];
  }
  answer.text = subject_.tokenizer.decode(told, true);
  answer.token_accuracy = right / static_cast<double>(item.answer.size());
  if (item.distractors.empty()) return answer;
  answer.rank = 1;
  for (const auto& distractor : item.distractors) {
    const double other = read_whole(subject_.model, item.prompt, distractor).nll;
    *answer.rank += other < answer.nll ? 1 : 0;
  }
  return answer;
}

}  // namespace longspan
