#include "trainer/eval/tasks/item.h"

#include <algorithm>
#include <utility>

#include "src/core/error.h"
#include "trainer/eval/tasks/scorers.h"

namespace longspan {

namespace {

int64_t tokens_of(const EvalSubject& subject, const std::string& text) {
  return static_cast<int64_t>(subject.tokenizer.encode(text).size());
}

int64_t answer_tokens(const EvalSubject& subject, const Question& question) {
  return tokens_of(subject, question.answer_prefix + question.answers.at(0));
}

}  // namespace

int64_t new_tokens_of(const EvalSubject& subject, const Question& question) {
  return answer_tokens(subject, question) + kExtraNewTokens;
}

int64_t item_tokens(const EvalSubject& subject, const DrawnItem& item) {
  int64_t longest = 0;
  for (const Question& question : item.questions) {
    const int64_t answer = std::max(answer_tokens(subject, question), question.max_new_tokens);
    longest = std::max(longest, tokens_of(subject, question.text) + answer);
  }
  return (subject.bos_token_id ? 1 : 0) +
         tokens_of(subject, item.passage.instruction + item.passage.context) + longest;
}

void find_largest(int64_t fitting, int64_t size, const std::function<bool(int64_t size)>& fits) {
  int64_t overflows = size;
  while (fits(overflows)) fitting = std::exchange(overflows, 2 * overflows);
  while (overflows - fitting > 1) {
    const int64_t middle = fitting + (overflows - fitting) / 2;
    (fits(middle) ? fitting : overflows) = middle;
  }
}

DrawnItem largest_item(const EvalSubject& subject, int64_t length, int64_t smallest,
                       std::string_view task, const std::function<DrawnItem(int64_t size)>& build) {
  DrawnItem best = build(smallest);
  if (const int64_t tokens = item_tokens(subject, best); tokens > length) {
    fail(ExitCode::kUsage,
         "{}: length {} is too short, its smallest item has {} tokens; give longer --lengths", task,
         length, tokens);
  }
  const auto fits = [&](int64_t size) {
    DrawnItem item = build(size);
    if (item_tokens(subject, item) > length) return false;
    best = std::move(item);
    return true;
  };
  find_largest(smallest, 2 * smallest + 16, fits);
  return best;
}

double score_answer(const Question& question, const Answer& answer) {
  if (question.metric == "choice") return answer.rank == 1 ? 1 : 0;
  std::string text = answer.text;
  if (question.first_line_only) {
    text = text.substr(std::min(text.find_first_not_of('\n'), text.size()));
    text = text.substr(0, text.find('\n'));
  }
  return find_scorer(question.metric)(text, question.references_or_answers());
}

}  // namespace longspan
