#pragma once

#include "trainer/eval/arms/arm.h"

namespace longspan {

/// An item as the ids that a model reads. The text from instruction to question is encoded as one.
struct ItemTokens {
  std::vector<int64_t> prompt;  // a BOS if there is one, instruction, context, question
  int64_t context_begin = 0, context_end = 0;  // the context's in `prompt`
  std::vector<int64_t> answer;  // what `prompt` goes on with when answers[0] follows the question
  std::vector<std::vector<int64_t>> distractors;

  /// Of prompt and answer: what an item's length counts.
  int64_t size() const { return std::ssize(prompt) + std::ssize(answer); }
};

/// A token that the question would share with answers[0] belongs to the answer, and one that the
/// context would share with the question to the question; distractors begin where the answer does.
/// Throws Error(kData) for a question without an answer, and for a distractor without a token.
ItemTokens tokenize_item(const Tokenizer& tokenizer, std::optional<int64_t> bos_token_id,
                         const Passage& passage, const Question& question);

}  // namespace longspan
