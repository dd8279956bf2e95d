#include "trainer/eval/passkey_prompt.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "src/core/error.h"
#include "trainer/eval/tasks/item.h"

namespace longspan {

namespace {

constexpr std::string_view kTask =
    "There is an important info hidden inside a lot of irrelevant text. Find it and memorize them. "
    "I will quiz you about the important information there.";
constexpr std::string_view kFiller =
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again. ";
constexpr std::string_view kQuestion = "What is the pass key? The pass key is";

std::string filler(int64_t characters) {
  std::string text;
  while (static_cast<int64_t>(text.size()) < characters) text += kFiller;
  return text.substr(0, characters);
}

/// Shorter keys can be guessed.
std::string five_digits(std::mt19937& generator) {
  return std::to_string(10000 + generator() % 90000);
}

}  // namespace

Item passkey_item(int64_t filler_characters, double depth, const std::string& key) {
  const auto before = std::llround(static_cast<double>(filler_characters) * depth);
  const std::string line =
      fmt::format("The pass key is {}. Remember it. {} is the pass key.", key, key);
  Item item;
  item.passage.instruction = fmt::format("{}\n", kTask);
  item.passage.context =
      fmt::format("{}\n{}\n{}", filler(before), line, filler(filler_characters - before));
  item.question.text = fmt::format("\n{}", kQuestion);
  item.question.answers = {key};
  item.question.metric = "number_prefix";
  item.question.depth = depth;
  const auto begin = static_cast<size_t>(before) + 1;
  item.question.evidence = {{begin, begin + line.size()}};
  return item;
}

std::string draw_passkey(uint64_t seed, int64_t length, double depth, int64_t trial) {
  std::seed_seq mixed{
      static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), static_cast<uint32_t>(length),
      static_cast<uint32_t>(std::llround(depth * 1e6)), static_cast<uint32_t>(trial)};
  std::mt19937 generator(mixed);
  return five_digits(generator);
}

std::vector<std::string> wrong_passkeys(const std::string& key) {
  constexpr size_t kWrongKeys = 9;
  std::mt19937 generator(static_cast<uint32_t>(std::stoul(key)));
  std::vector<std::string> wrong;
  while (wrong.size() < kWrongKeys) {
    const std::string other = five_digits(generator);
    if (other != key && std::ranges::find(wrong, other) == wrong.end()) wrong.push_back(other);
  }
  return wrong;
}

PasskeyPrompt build_passkey_prompt(const Tokenizer& tokenizer, std::optional<int64_t> bos_token_id,
                                   int64_t length, double depth, const std::string& key) {
  auto build = [&](int64_t characters) {
    PasskeyPrompt prompt{.item = passkey_item(characters, depth, key), .tokens = {}};
    prompt.tokens =
        tokenize_item(tokenizer, bos_token_id, prompt.item.passage, prompt.item.question);
    return prompt;
  };
  PasskeyPrompt best = build(0);
  if (best.tokens.size() > length) {
    fail(ExitCode::kUsage,
         "passkey: length {} is too short, the prompt without filler has {} tokens; give longer "
         "--lengths",
         length, best.tokens.size());
  }
  find_largest(0, 256, [&](int64_t characters) {
    PasskeyPrompt prompt = build(characters);
    if (prompt.tokens.size() > length) return false;
    best = std::move(prompt);
    return true;
  });
  return best;
}

}  // namespace longspan
