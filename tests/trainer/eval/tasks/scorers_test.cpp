#include "trainer/eval/tasks/scorers.h"

#include <gtest/gtest.h>

namespace longspan {
namespace {

double score(std::string_view metric, const std::string& answer,
             const std::vector<std::string>& references) {
  return find_scorer(metric)(answer, references);
}

TEST(Scorers, EachIsFoundByItsName) {
  for (const auto& name : scorers()) {
    ASSERT_NE(find_scorer(name), nullptr) << name;
    EXPECT_EQ(score(name, "", {"word"}), 0) << name;
  }
  EXPECT_EQ(find_scorer("exactly"), nullptr);
}

TEST(Scorers, NormalizesAsSquad) {
  EXPECT_EQ(normalized("  The quick,  brown FOX's an a tail. "), "quick brown foxs tail");
}

TEST(Scorers, ExactComparesNormalizedTexts) {
  EXPECT_EQ(score("exact", " The Eiffel Tower.", {"Louvre", "eiffel tower"}), 1);
  EXPECT_EQ(score("exact", "Eiffel Tower in Paris", {"eiffel tower"}), 0);
}

TEST(Scorers, PrefixEndsAtAWord) {
  EXPECT_EQ(score("prefix", " Paris. It is a city.", {"paris"}), 1);
  EXPECT_EQ(score("prefix", "Parisian", {"Paris"}), 0);
}

/// "A" is an article, and the name of a choice.
TEST(Scorers, AReferenceOfArticlesAloneIsOne) {
  EXPECT_EQ(score("prefix", "A. Paris", {"A"}), 1);
  EXPECT_EQ(score("prefix", "B. Paris", {"A"}), 0);
  EXPECT_EQ(score("exact", "A", {"A"}), 1);
  EXPECT_EQ(score("exact", "the", {"A"}), 0);
  EXPECT_EQ(score("exact", "", {"A"}), 0);
}

TEST(Scorers, SubstringTakesAnyReferenceAndAllTheShareOfThem) {
  EXPECT_EQ(score("substring", "it is 1234567, I think", {"7654321", "1234567"}), 1);
  EXPECT_EQ(score("substring", "it is 123456", {"1234567"}), 0);
  EXPECT_EQ(score("all", "ABCDE, fghij and klmno", {"abcde", "FGHIJ", "pqrst", "klmno"}), 0.75);
}

TEST(Scorers, NumberIsTheFirst) {
  EXPECT_EQ(score("number", " 71432.\n12345", {"71432"}), 1);
  EXPECT_EQ(score("number", "12345, no: 71432", {"71432"}), 0);
  EXPECT_EQ(score("number", "714321", {"71432"}), 0);
  EXPECT_EQ(score("number", "it is 98.5.", {"98.5"}), 1);
  EXPECT_EQ(score("number", "it is 98.", {"98.5"}), 0);
  EXPECT_EQ(score("number", "it is 42", {"42.0"}), 1);
}

TEST(Scorers, NumberPrefixLetsDigitsFollow) {
  EXPECT_EQ(score("number_prefix", " 71432.\n12345", {"71432"}), 1);
  EXPECT_EQ(score("number_prefix", "the key 714321", {"71432"}), 1);
  EXPECT_EQ(score("number_prefix", " 71 432", {"71432"}), 0);
  EXPECT_EQ(score("number_prefix", "12345, no: 71432", {"71432"}), 0);
}

TEST(Scorers, LastWordIsBehindAllOthers) {
  EXPECT_EQ(score("last_word", " the value is: -3.\n", {"-3"}), 1);
  EXPECT_EQ(score("last_word", "-3 or 5", {"-3"}), 0);
}

TEST(Scorers, LeadingCountsUpToTheFirstThatIsWrong) {
  const std::vector<std::string> values{"8", "5", "7", "3"};
  EXPECT_EQ(score("leading", " [8, 5, 7, 3]", values), 1);
  EXPECT_EQ(score("leading", " [8, 5, 6, 3, 1]", values), 0.5);
  EXPECT_EQ(score("leading", " [8", values), 0.25);
  EXPECT_EQ(score("leading", " [5, 7, 3]", values), 0);
}

/// "cat sat mat" against "cat sat on mat": 3 common words, precision 1, recall 3/4.
TEST(Scorers, F1CountsWordsOnce) {
  EXPECT_DOUBLE_EQ(score("f1", "The cat sat, mat", {"the cat sat on the mat"}), 6.0 / 7);
  EXPECT_DOUBLE_EQ(score("f1", "cat cat cat cat", {"cat dog"}), 2.0 / 6);
  EXPECT_EQ(score("f1", "dog", {"cat", "dog"}), 1);
}

/// Lin 2004, section 3: "police killed the gunman" against "police kill the gunman" (0.75) and
/// "the gunman kill police" (0.5).
TEST(Scorers, RougeKeepsTheOrder) {
  for (const char* name : {"rouge_l", "rouge_lsum"}) {
    EXPECT_DOUBLE_EQ(score(name, "police kill the gunman", {"police killed the gunman"}), 0.75);
    EXPECT_DOUBLE_EQ(score(name, "the gunman kill police", {"police killed the gunman"}), 0.5);
  }
}

/// Golden values: rouge 1.0.1's rouge-l, whose denominator has 1e-8 more, and rouge-score 0.1.2's
/// rougeLsum.
TEST(Scorers, RougeIsThatOfEachPackage) {
  const struct {
    std::string summary, reference;
    double rouge_l, rouge_lsum;
  } cases[] = {
      {"The cat. The cat.", "The cat.", 0.999999995, 0.6666666666666666},
      {"police killed the gunman. the police won", "the gunman kill police. police won. ",
       0.7272727223140496, 0.6153846153846153},
      {"A storm hit the coast on Monday. Two boats were lost,\nand the harbour was closed. ",
       "On Monday a storm hit the coast.\nThe harbour was closed and two boats, both old, were "
       "lost.",
       0.41176470089965406, 0.7647058823529411},
      {"a b c a b. d e a", "a c b. a d. e", 0.999999995, 0.7142857142857143},
      {"w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", "w1 w2 w3 w4 w5", 0.6153846106508877, 0.5333333333333333},
  };
  for (const auto& one : cases) {
    EXPECT_NEAR(score("rouge_l", one.summary, {one.reference}), one.rouge_l, 1e-8) << one.summary;
    EXPECT_NEAR(score("rouge_lsum", one.summary, {one.reference}), one.rouge_lsum, 1e-15)
        << one.summary;
  }
}

TEST(Scorers, EditSimilarityIsOfTheFirstLineOfCode) {
  EXPECT_EQ(score("edit_similarity", "\n# a comment\nreturn x\ny", {"return x"}), 1);
  // "abcd" and "abxd" share "abd": 6 of 8 letters.
  EXPECT_DOUBLE_EQ(score("edit_similarity", "abcd", {"abxd"}), 0.75);
}

TEST(Scorers, CountIsTheShareOfNumbers) {
  EXPECT_DOUBLE_EQ(score("count", "7 or 8, I say 7", {"7"}), 2.0 / 3);
  EXPECT_EQ(score("count", "none", {"7"}), 0);
}

TEST(Scorers, ClassDividesByTheClassesNamed) {
  EXPECT_EQ(score("class", "Type: City", {"City", "Country"}), 1);
  EXPECT_EQ(score("class", "City or Country", {"City", "Country"}), 0.5);
  EXPECT_EQ(score("class", "Country", {"City", "Country"}), 0);
  // "Person" is a part of "Person group": naming the longer one names no other.
  EXPECT_EQ(score("class", "Person group", {"Person group", "Person"}), 1);
}

TEST(Scorers, LabelAllowsNoOther) {
  EXPECT_EQ(score("label", " The Kitchen. Not the garden.", {"kitchen", "garden"}), 1);
  EXPECT_EQ(score("label", "kitchen or garden", {"kitchen", "garden"}), 0);
}

TEST(Scorers, LabelMayBeSeveral) {
  const std::vector<std::string> references{"apple,milk", "football"};
  EXPECT_EQ(score("label", "milk and an apple", references), 1);
  EXPECT_EQ(score("label", "milk", references), 0);
  EXPECT_EQ(score("label", "milk, apple, football", references), 0);
  EXPECT_EQ(score("label", "n,w", {"n,w", "s"}), 1);
  EXPECT_EQ(score("label", "w,n", {"n,w", "s"}), 0);
}

}  // namespace
}  // namespace longspan
