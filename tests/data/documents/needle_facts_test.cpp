#include "data/documents/needle_facts.h"

#include <gmock/gmock.h>

#include <cctype>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "src/core/random.h"
#include "tests/support/places.h"

namespace longspan {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

std::vector<NeedleFact> drawn_facts(int64_t count, uint64_t seed,
                                    const std::vector<std::string>& words = {}) {
  auto generator = generator_of(seed, 0);
  return draw_needle_facts(count, words, generator);
}

/// The first two words in a row with capitals, but for the word "Account".
std::string name_in(const std::string& statement) {
  const auto is_capital = [](const std::string& word) {
    return !word.empty() && std::isupper(static_cast<unsigned char>(word[0])) != 0;
  };
  std::istringstream words(statement);
  std::string before;
  for (std::string word; words >> word; before = word) {
    if (word.back() == ':') word.pop_back();
    if (is_capital(word) && is_capital(before) && before != "Account") return before + " " + word;
  }
  return "no name";
}

TEST(NeedleFacts, AreStatedAndAskedForByTheSameName) {
  for (const auto& fact : drawn_facts(200, 1, {"window"})) {
    EXPECT_THAT(fact.statement, HasSubstr(fact.value));
    EXPECT_THAT(fact.question, AllOf(HasSubstr("? "), EndsWith(" " + fact.value + ".")));
    EXPECT_THAT(fact.question, HasSubstr(name_in(fact.statement))) << fact.statement;
  }
}

TEST(NeedleFacts, AreEachAboutAnotherName) {
  std::set<std::string> names;
  for (const auto& fact : drawn_facts(5000, 2)) names.insert(name_in(fact.statement));
  EXPECT_EQ(names.size(), 5000u);
}

TEST(NeedleFacts, HaveValuesOfDigitsOrOfTheWordsGiven) {
  std::set<std::string> words;
  for (const auto& fact : drawn_facts(300, 3, {"candle", "window"})) {
    if (!std::isdigit(static_cast<unsigned char>(fact.value[0]))) words.insert(fact.value);
  }
  EXPECT_THAT(words, ElementsAre("candle", "window"));
  for (const auto& fact : drawn_facts(300, 3)) {
    EXPECT_THAT(fact.value, MatchesRegex("[0-9]{4,8}"));
  }
}

TEST(NeedleFacts, AreDrawnByTheGeneratorAlone) {
  const auto statements = [](uint64_t seed) {
    std::string all;
    for (const auto& fact : drawn_facts(20, seed)) all += fact.statement + fact.question;
    return all;
  };
  EXPECT_EQ(statements(4), statements(4));
  EXPECT_NE(statements(4), statements(5));
}

/// Each four words of a text in turn, in lower case.
std::set<std::string> runs_of_four(const std::string& text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      words.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  std::set<std::string> runs;
  for (size_t i = 3; i < words.size(); ++i) {
    runs.insert(words[i - 3] + " " + words[i - 2] + " " + words[i - 1] + " " + words[i]);
  }
  return runs;
}

/// What the sources of the tasks say, a literal that goes over lines as one.
std::string words_of_tasks() {
  std::ostringstream all;
  const auto folder = source_folder() / "trainer" / "eval";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".cpp") all << std::ifstream(entry.path()).rdbuf() << '\n';
  }
  std::string text = all.str();
  for (size_t at = 0; (at = text.find("\\n", at)) != std::string::npos;) text.replace(at, 2, " ");
  return text;
}

TEST(NeedleFacts, ShareNoFourWordsWithTheTasksOfEval) {
  const auto tasks = runs_of_four(words_of_tasks());
  for (const char* known : {"of the special magic", "what is the pass", "the pass key is"}) {
    ASSERT_THAT(tasks, Contains(known));
  }
  for (const auto& fact : drawn_facts(300, 6, {"window"})) {
    for (const auto& run : runs_of_four(fact.statement + " " + fact.question)) {
      EXPECT_FALSE(tasks.contains(run)) << run;
    }
  }
}

TEST(NeedleWords, AreLowerCaseAndOfFiveToTenLetters) {
  EXPECT_THAT(needle_words("The naïve window-frame, couldn't stretch; Candle four windows3 window "
                           "\"extraordinary\" (certainly) _quietly_"),
              ElementsAre("certainly", "frame", "stretch", "window"));
}

}  // namespace
}  // namespace longspan
