#include "trainer/eval/arms/teacher_forcing.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>

#include "src/nn/chunked_cross_entropy.h"
#include "trainer/eval/arms/branch_attention.h"

namespace longspan {

namespace {

using Ids = std::vector<int64_t>;

constexpr size_t kAnswersOfAPass = 16;

/// Answers behind a prompt.
struct FedRows {
  at::Tensor hidden;             // [B, T, C] that predict the labels
  at::Tensor labels;             // [B, T]
  std::vector<int64_t> lengths;  // of the answers; what is behind them pads

  /// Nats of each answer's tokens: float64.
  std::vector<at::Tensor> losses(const at::Tensor& head) const {
    const at::Tensor nll = token_cross_entropy(hidden.flatten(0, 1), head, labels.flatten())
                               .to(at::kCPU, at::kDouble)
                               .view(labels.sizes());
    std::vector<at::Tensor> rows;
    for (int64_t row = 0; row < nll.size(0); ++row) {
      rows.push_back(nll[row].narrow(0, 0, lengths[row]));
    }
    return rows;
  }
};

/// `answers` behind the prompt's last token, which is still to be read.
FedRows feed_rows(CausalLm& model, int64_t last_of_prompt, const std::vector<const Ids*>& answers,
                  const PromptRead& prompt_read) {
  std::vector<int64_t> lengths;
  for (const Ids* answer : answers) lengths.push_back(std::ssize(*answer));
  const int64_t longest = *std::ranges::max_element(lengths);
  std::vector<at::Tensor> inputs, labels;
  for (const Ids* answer : answers) {
    Ids fed{last_of_prompt}, expected = *answer;
    fed.insert(fed.end(), answer->begin(), answer->end() - 1);
    fed.resize(longest);
    expected.resize(longest);
    inputs.push_back(at::tensor(fed, at::kLong));
    labels.push_back(at::tensor(expected, at::kLong));
  }
  const at::Device device = model.lm_head_weight().device();
  const at::Tensor hidden =
      branch_hidden_states(model, at::stack(inputs).to(device), lengths, prompt_read(longest));
  return {hidden, at::stack(labels).to(device), lengths};
}

/// Whether answers of so many tokens are rows of one pass: what pads the shorter costs as much as
/// what is fed.
bool go_together(size_t a, size_t b, FedLengths lengths) {
  return lengths == FedLengths::kEqual ? a == b : std::max(a, b) <= 2 * std::min(a, b);
}

/// The answer first, and with it the distractors that go with it; no group has more rows than a
/// pass.
std::vector<std::vector<const Ids*>> rows_of_passes(const ItemTokens& item, FedLengths lengths) {
  std::vector<std::vector<const Ids*>> groups{{&item.answer}};
  for (const Ids& distractor : item.distractors) {
    const auto open = std::ranges::find_if(groups, [&](const auto& group) {
      return group.size() < kAnswersOfAPass &&
             go_together(group.front()->size(), distractor.size(), lengths);
    });
    if (open != groups.end()) {
      open->push_back(&distractor);
    } else {
      groups.push_back({&distractor});
    }
  }
  return groups;
}

/// Of the losses of the answer's tokens, those from the first in which a distractor differs to that
/// by which all of them have. One that goes on where the answer ends counts as differing at its
/// last token.
at::Tensor choosing(const at::Tensor& losses, const ItemTokens& item) {
  const int64_t last = std::ssize(item.answer) - 1;
  int64_t begin = last, end = 0;
  for (const Ids& distractor : item.distractors) {
    const auto differing = std::ranges::mismatch(item.answer, distractor).in1;
    const int64_t place = std::min<int64_t>(differing - item.answer.begin(), last);
    begin = std::min(begin, place);
    end = std::max(end, place + 1);
  }
  return losses.narrow(0, begin, end - begin);
}

}  // namespace

void FedAnswer::put_into(Answer& answer) const {
  answer.nll = nll;
  answer.token_accuracy = token_accuracy;
  answer.rank = rank;
  answer.choice_nll = choice_nll;
}

FedAnswer feed_answer(CausalLm& model, const ItemTokens& item, const PromptRead& prompt_read,
                      FedLengths lengths) {
  const at::NoGradGuard no_gradients;
  const at::Tensor& head = model.lm_head_weight();
  FedAnswer fed;
  int64_t before = 0;  // distractors with less loss
  for (const auto& group : rows_of_passes(item, lengths)) {
    const FedRows rows = feed_rows(model, item.prompt.back(), group, prompt_read);
    const std::vector<at::Tensor> losses = rows.losses(head);
    if (group.front() == &item.answer) {
      const auto of_answer = [&](const at::Tensor& x) {
        return x[0].narrow(0, 0, rows.lengths[0]);
      };
      const at::Tensor guesses = at::linear(of_answer(rows.hidden), head).argmax(-1);
      fed.token_accuracy = guesses.eq(of_answer(rows.labels)).to(at::kDouble).mean().item<double>();
      const at::Tensor choices = guesses.cpu();
      const auto* first = choices.const_data_ptr<int64_t>();
      fed.choices.assign(first, first + choices.numel());
      fed.nll = losses.front().mean().item<double>();
      if (!std::isfinite(fed.nll)) return fed;
      if (!item.distractors.empty()) {
        fed.choice_nll = choosing(losses.front(), item).sum().item<double>();
      }
    }
    before += std::ranges::count_if(
        losses, [&](const at::Tensor& loss) { return loss.mean().item<double>() < fed.nll; });
  }
  if (!item.distractors.empty()) fed.rank = before + 1;
  return fed;
}

}  // namespace longspan
