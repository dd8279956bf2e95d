#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "trainer/eval/arms/arm.h"

namespace longspan {

/// A passage with all that is asked about it: one prefill.
struct DrawnItem {
  Passage passage;
  std::vector<Question> questions;
};

/// Tokens of the item as a full-attention model reads it: BOS, instruction and context as one
/// text, then the longest of the questions with its answer (or max_new_tokens, if they are more).
int64_t item_tokens(const EvalSubject& subject, const DrawnItem& item);

/// Asks `fits` of sizes: of `size`, then of twice as much each time until it says no, then between,
/// until it has said yes to the largest. `fitting` is a smaller one that is known to fit.
void find_largest(int64_t fitting, int64_t size, const std::function<bool(int64_t size)>& fits);

/// The item of the largest size, from `smallest` on, that has at most `length` tokens. The tokens
/// of build(size) must grow with size. Error(kUsage) that names `task` where even the smallest has
/// more.
DrawnItem largest_item(const EvalSubject& subject, int64_t length, int64_t smallest,
                       std::string_view task, const std::function<DrawnItem(int64_t size)>& build);

/// Room for a newline or a word before the answer.
inline constexpr int64_t kExtraNewTokens = 4;
/// The tokens of the answer behind its prefix, and that room.
int64_t new_tokens_of(const EvalSubject& subject, const Question& question);

/// The score of an answer by question.metric, 0 to 1.
double score_answer(const Question& question, const Answer& answer);

}  // namespace longspan
