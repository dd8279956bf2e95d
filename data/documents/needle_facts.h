#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace longspan {

/// A fact about a made-up name, in English.
struct NeedleFact {
  std::string statement;  // "The locker of Belwick Torfen opens with 40312."
  std::string question;   // asks for it and answers: ends with the value and a full stop
  std::string value;      // 4 to 8 digits, or a word
};

/// There are names for so many facts of one draw.
inline constexpr int64_t kMostNeedleFacts = 100'000;

/// `count` facts whose names differ, some with one of `words` as value where there are any. Their
/// wording is that of no task of longspan eval (trainer/eval), so that those tasks measure
/// retrieval and not whether their own sentences were trained on.
std::vector<NeedleFact> draw_needle_facts(int64_t count, const std::vector<std::string>& words,
                                          std::mt19937_64& generator);

/// The words of 5 to 10 lower-case ASCII letters in a text, sorted, each once.
std::vector<std::string> needle_words(std::string_view text);

}  // namespace longspan
