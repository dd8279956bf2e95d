#include "data/documents/needle_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <iterator>
#include <set>

#include "src/core/random.h"

namespace longspan {

namespace {

// A name is two words of two syllables. There are 186,624, and few texts have one.
constexpr std::string_view kFirstSyllables[] = {
    "Bel", "Dar", "Fen", "Gor", "Hal", "Jor", "Kel", "Lan",  "Mer", "Nor", "Pel", "Quin",
    "Ros", "Sel", "Tor", "Ven", "Wil", "Yar", "Zan", "Bran", "Cal", "Dom", "El",  "Far"};
constexpr std::string_view kLastSyllables[] = {"a",    "o",   "i",    "en",   "ard",  "in",
                                               "wick", "ton", "mark", "low",  "fer",  "ley",
                                               "mond", "ric", "bert", "dale", "ford", "shaw"};

/// {0} is the name, {1} the value.
struct FactForm {
  const char* statement;
  const char* question;
  bool is_of_word = false;  // digits else
};

constexpr FactForm kFactForms[] = {
    {"The locker of {0} opens with {1}.",
     "Which number opens the locker of {0}? The locker of {0} opens with {1}."},
    {"{0} lives at house {1}.", "At which house does {0} live? {0} lives at house {1}."},
    {"Note: the ticket of {0} has the number {1}.",
     "Which number has the ticket of {0}? It has the number {1}."},
    {"{0} wrote down {1} and closed the book.", "What did {0} write down? {0} wrote down {1}."},
    {"Account {0}: {1}.", "Account of {0}? {1}."},
    {"The crate for {0} was marked {1}.", "How was the crate for {0} marked? It was marked {1}."},
    {"The word that {0} chose was {1}.",
     "Which word did {0} choose? The word that {0} chose was {1}.", true},
    {"{0} answered every letter with the word {1}.",
     "With which word did {0} answer every letter? {0} answered with the word {1}.", true},
};

std::string draw_name_part(std::mt19937_64& generator) {
  const auto first = kFirstSyllables[draw_below(std::size(kFirstSyllables), generator)];
  return fmt::format("{}{}", first,
                     kLastSyllables[draw_below(std::size(kLastSyllables), generator)]);
}

std::string draw_digits(std::mt19937_64& generator) {
  std::string digits(4 + draw_below(5, generator), '0');
  for (char& digit : digits) digit = static_cast<char>('0' + draw_below(10, generator));
  return digits;
}

}  // namespace

std::vector<NeedleFact> draw_needle_facts(int64_t count, const std::vector<std::string>& words,
                                          std::mt19937_64& generator) {
  std::vector<NeedleFact> facts;
  std::set<std::string> names;
  while (std::ssize(facts) < count) {
    std::string name = draw_name_part(generator);
    name += " " + draw_name_part(generator);
    if (!names.insert(name).second) continue;
    const FactForm& form = kFactForms[draw_below(std::size(kFactForms), generator)];
    const std::string value = form.is_of_word && !words.empty()
                                  ? words[draw_below(words.size(), generator)]
                                  : draw_digits(generator);
    facts.push_back({fmt::format(fmt::runtime(form.statement), name, value),
                     fmt::format(fmt::runtime(form.question), name, value), value});
  }
  return facts;
}

std::vector<std::string> needle_words(std::string_view text) {
  constexpr size_t kFewestLetters = 5, kMostLetters = 10;
  const auto is_part = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '\'' || c >= 0x80;
  };
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  std::set<std::string, std::less<>> words;
  for (size_t begin = 0, end = 0; begin < text.size(); begin = end + 1) {
    end = begin;
    while (end < text.size() && is_part(static_cast<unsigned char>(text[end]))) ++end;
    const std::string_view word = text.substr(begin, end - begin);
    const bool fits = word.size() >= kFewestLetters && word.size() <= kMostLetters;
    if (fits && std::all_of(word.begin(), word.end(), is_letter)) words.emplace(word);
  }
  return {words.begin(), words.end()};
}

}  // namespace longspan
