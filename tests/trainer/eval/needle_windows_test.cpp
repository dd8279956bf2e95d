#include "trainer/eval/needle_windows.h"

#include <gmock/gmock.h>

#include <regex>
#include <set>

#include "tests/support/errors.h"
#include "tests/trainer/eval/eval_fixtures.h"

namespace longspan {
namespace {

std::vector<int64_t> ids_of_letters(const std::string& text) { return {text.begin(), text.end()}; }

std::string letters_of_ids(const std::vector<int64_t>& ids) { return {ids.begin(), ids.end()}; }

TEST(NeedleWindows, HideAValueAndEndWithIt) {
  const std::string book = some_text(400, 1), other = some_text(400, 2);
  const auto windows =
      needle_windows({ids_of_letters(book), ids_of_letters(other)}, 8, ByteTokenizer(), /*seed=*/3);
  ASSERT_EQ(windows.size(), 16u);
  const std::regex needle(R"( One of the special magic numbers for (\S+) is: (\d{7})\. )");
  std::set<size_t> places;
  std::set<std::string> values;
  for (size_t i = 0; i < windows.size(); ++i) {
    const std::string text = letters_of_ids(windows[i].ids);
    EXPECT_EQ(text.size(), 400u);
    EXPECT_EQ(windows[i].targets, 8);
    std::smatch found;
    ASSERT_TRUE(std::regex_search(text, found, needle)) << text;
    const std::string key = found[1], value = found[2];
    EXPECT_TRUE(text.ends_with("The special magic number for " + key +
                               " mentioned in the provided text is " + value));
    const size_t hay = text.find("\nWhat is") - static_cast<size_t>(found.length());
    EXPECT_EQ(found.prefix().str() + found.suffix().str().substr(0, hay - found.prefix().length()),
              (i < 8 ? book : other).substr(0, hay));
    places.insert(static_cast<size_t>(found.position()));
    values.insert(value);
  }
  EXPECT_GE(*places.begin(), 1u);
  EXPECT_GT(places.size(), 10u);
  EXPECT_EQ(values.size(), 16u);
}

TEST(NeedleWindows, ArePureFunctionsOfTheirArguments) {
  const std::vector<std::vector<int64_t>> texts{ids_of_letters(some_text(300))};
  const auto one = needle_windows(texts, 3, ByteTokenizer(), 1);
  EXPECT_EQ(needle_windows(texts, 3, ByteTokenizer(), 1)[2].ids, one[2].ids);
  EXPECT_EQ(needle_windows(texts, 9, ByteTokenizer(), 1)[2].ids, one[2].ids);
  EXPECT_NE(needle_windows(texts, 3, ByteTokenizer(), 2)[2].ids, one[2].ids);
}

TEST(NeedleWindows, NeedTextsThatAreLongEnough) {
  EXPECT_THAT(
      error_of([] { needle_windows({ids_of_letters(some_text(100))}, 1, ByteTokenizer(), 1); },
               ExitCode::kUsage),
      testing::HasSubstr("and the texts 100; give a larger --length"));
}

}  // namespace
}  // namespace longspan
