#pragma once

#include <functional>

#include "src/model/causal_lm.h"
#include "trainer/eval/arms/item_tokens.h"

namespace longspan {

/// What a model makes of an answer that is fed to it token by token.
struct FedAnswer {
  double nll = 0;                     // nats a token
  std::vector<int64_t> choices = {};  // the model's first ones, in place of the answer's tokens
  double token_accuracy = 0;          // those that are the answer's
  /// Of the answer among it and the distractors by nll a token; ties count for the answer. None
  /// without distractors.
  std::optional<int64_t> rank = {};
  /// See Answer::choice_nll.
  std::optional<double> choice_nll = {};

  void put_into(Answer& answer) const;
};

/// A model that has read the prompt but for its last token, to go on with so many tokens.
using PromptRead = std::function<const ModelState&(int64_t tokens)>;

/// Which answers may go on from one reading of the prompt: those of about one length, or those of
/// equal length alone, where the prompt is read for the length of the whole.
enum class FedLengths { kAlike, kEqual };

/// Feeds the item's answer and its distractors, as rows of as few passes as `lengths` allows. What
/// was read stays as it is. An answer whose loss is not finite has no rank.
FedAnswer feed_answer(CausalLm& model, const ItemTokens& item, const PromptRead& prompt_read,
                      FedLengths lengths);

}  // namespace longspan
