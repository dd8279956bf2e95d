#include "data/documents/sentences.h"

#include <gmock/gmock.h>

#include <string>

namespace longspan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> sentence_texts(const std::string& text, SentenceEnd end) {
  std::vector<std::string> texts;
  for (const auto& [begin, behind] : sentence_spans(text, end)) {
    texts.push_back(text.substr(begin, behind - begin));
  }
  return texts;
}

TEST(SentenceSpans, EndBehindAMarkBeforeWhiteSpace) {
  for (const SentenceEnd end : {SentenceEnd::kLine, SentenceEnd::kBlankLine}) {
    EXPECT_THAT(sentence_texts("  One is.\tTwo  is! 3.14 is four?\r\nFive", end),
                ElementsAre("One is.", "Two  is!", "3.14 is four?", "Five"));
    EXPECT_THAT(sentence_texts(" \n\t\r\n", end), IsEmpty());
  }
}

TEST(SentenceSpans, GoOnOverTheEndsOfWrappedLines) {
  const std::string text = "CHAPTER I\r\n\r\nIt was a\nlong day. It\r\nended \n\t\n\nlate";
  EXPECT_THAT(sentence_texts(text, SentenceEnd::kBlankLine),
              ElementsAre("CHAPTER I", "It was a\nlong day.", "It\r\nended", "late"));
  EXPECT_THAT(sentence_texts(text, SentenceEnd::kLine),
              ElementsAre("CHAPTER I", "It was a", "long day.", "It", "ended", "late"));
}

}  // namespace
}  // namespace longspan
