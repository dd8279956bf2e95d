#include "trainer/eval/needle_windows.h"

#include <fmt/format.h>

#include <string_view>

#include "src/core/error.h"
#include "trainer/eval/tasks/draw.h"

namespace longspan {

namespace {

std::vector<int64_t> ids_of(const Tokenizer& tokenizer, std::string_view text) {
  const auto ids = tokenizer.encode(text);
  return {ids.begin(), ids.end()};
}

/// RULER's words (arXiv 2404.06654).
TargetWindow hide_needle(const std::vector<int64_t>& text, const Tokenizer& tokenizer, Draw& draw) {
  const std::string key = draw.word_pair(), value = draw.number(7);
  const auto needle = ids_of(
      tokenizer, fmt::format(" One of the special magic numbers for {} is: {}. ", key, value));
  const auto question = ids_of(
      tokenizer, fmt::format("\nWhat is the special magic number for {0} mentioned in the provided "
                             "text? The special magic number for {0} mentioned in the provided "
                             "text is",
                             key));
  const auto answer = ids_of(tokenizer, " " + value);
  const int64_t hay =
      std::ssize(text) - std::ssize(needle) - std::ssize(question) - std::ssize(answer);
  if (hay < 1) {
    fail(ExitCode::kUsage,
         "a needle and its question have {} tokens, and the texts {}; give a larger --length",
         std::ssize(text) - hay, text.size());
  }
  const int64_t place = 1 + draw.below(hay);  // what stands first stays first
  TargetWindow window{.ids = {text.begin(), text.begin() + place}, .targets = std::ssize(answer)};
  const auto append = [&](auto begin, auto end) {
    window.ids.insert(window.ids.end(), begin, end);
  };
  append(needle.begin(), needle.end());
  append(text.begin() + place, text.begin() + hay);
  append(question.begin(), question.end());
  append(answer.begin(), answer.end());
  return window;
}

}  // namespace

std::vector<TargetWindow> needle_windows(const std::vector<std::vector<int64_t>>& texts,
                                         int64_t needles, const Tokenizer& tokenizer,
                                         uint64_t seed) {
  std::vector<TargetWindow> windows;
  for (int64_t text = 0; text < std::ssize(texts); ++text) {
    for (int64_t needle = 0; needle < needles; ++needle) {
      Draw draw("needle windows", {static_cast<int64_t>(seed), text, needle});
      windows.push_back(hide_needle(texts[static_cast<size_t>(text)], tokenizer, draw));
    }
  }
  return windows;
}

}  // namespace longspan
