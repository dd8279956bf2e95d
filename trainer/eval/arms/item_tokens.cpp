#include "trainer/eval/arms/item_tokens.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/core/error.h"

namespace longspan {

namespace {

size_t common_tokens(const std::vector<int32_t>& a, const std::vector<int32_t>& b) {
  return std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
}

/// The tokens of question + answer from token `cut` on.
std::vector<int64_t> tokens_from(const Tokenizer& tokenizer, const std::string& text, size_t cut) {
  const std::vector<int32_t> ids = tokenizer.encode(text);
  return {ids.begin() + static_cast<int64_t>(std::min(cut, ids.size())), ids.end()};
}

}  // namespace

ItemTokens tokenize_item(const Tokenizer& tokenizer, std::optional<int64_t> bos_token_id,
                         const Passage& passage, const Question& question) {
  if (question.answers.empty() || question.answers[0].empty()) {
    fail(ExitCode::kData, "the question '{}' has no answer, expected at least one", question.text);
  }
  const std::vector<int32_t> ids =
      tokenizer.encode(passage.instruction + passage.context + question.text);
  const auto shared_with = [&](const std::string& beginning) {
    return beginning.empty() ? 0 : common_tokens(ids, tokenizer.encode(beginning));
  };
  const auto continued = [&](const std::string& answer) {
    return question.text + question.answer_prefix + answer;
  };
  const std::vector<int32_t> asked = tokenizer.encode(question.text);
  const size_t cut = common_tokens(asked, tokenizer.encode(continued(question.answers[0])));
  const size_t lost = std::min(asked.size() - cut, ids.size());

  ItemTokens item;
  if (bos_token_id) item.prompt.push_back(*bos_token_id);
  const auto before = std::ssize(item.prompt);
  item.prompt.insert(item.prompt.end(), ids.begin(), ids.end() - static_cast<int64_t>(lost));
  const auto within_prompt = [&](size_t tokens) {
    return std::min(before + static_cast<int64_t>(tokens), std::ssize(item.prompt));
  };
  item.context_begin = within_prompt(shared_with(passage.instruction));
  item.context_end = std::max(item.context_begin,
                              within_prompt(shared_with(passage.instruction + passage.context)));
  item.answer = tokens_from(tokenizer, continued(question.answers[0]), cut);
  for (const auto& distractor : question.distractors) {
    item.distractors.push_back(tokens_from(tokenizer, continued(distractor), cut));
    if (!item.distractors.back().empty()) continue;
    fail(ExitCode::kData, "the wrong answer '{}' to '{}' has no token, expected some text",
         distractor, question.text);
  }
  return item;
}

}  // namespace longspan
