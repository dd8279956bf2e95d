#include "checkpoints/gguf/gguf_sentencepiece.h"

#include <gmock/gmock.h>

#include "checkpoints/gguf/gguf_pre_tokenizer.h"
#include "tests/checkpoints/temporary_folder.h"

namespace longspan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

const std::vector<std::string> kTokens{"<unk>", "ab", "abc",    "bc",     "a",
                                       "b",     "c",  "\u2581", "\u2581a"};
const std::vector<float> kScores{0, -1, -3, -2, -4, -5, -6, -7, 0};

std::vector<GgufTokenType> kinds() {
  std::vector<GgufTokenType> types(kTokens.size(), GgufTokenType::kNormal);
  types[0] = GgufTokenType::kUnknown;
  return types;
}

// Checked against generate_merges of transformers 5.23.0.
TEST(GgufSentencepiece, MergesByFallingScoreInEveryWay) {
  EXPECT_THAT(sentencepiece_merges(kTokens, kScores, kinds(), ""),
              ElementsAre(Pair("\u2581", "a"), Pair("a", "b"), Pair("b", "c"), Pair("ab", "c"),
                          Pair("a", "bc")));
}

TEST(GgufSentencepiece, RefusesScoresThatOrderNothing) {
  std::vector<float> scores = kScores;
  scores[1] = NAN;
  EXPECT_THAT(error_of([&] { sentencepiece_merges(kTokens, scores, kinds(), "x.gguf"); }),
              HasSubstr("x.gguf: token 1"));
}

TEST(GgufSentencepiece, ScoresGiveTheMergesBack) {
  auto merges = sentencepiece_merges(kTokens, kScores, kinds(), "");
  std::unordered_map<std::string, size_t> vocabulary;
  for (size_t id = 1; id < kTokens.size(); ++id) vocabulary[kTokens[id]] = id;
  std::vector<float> scores = sentencepiece_scores(vocabulary, kTokens.size(), merges, "");
  EXPECT_THAT(scores, ElementsAre(0, -1, -3, -2, 0, 0, 0, 0, 0));
  EXPECT_EQ(sentencepiece_merges(kTokens, scores, kinds(), ""), merges);
  merges.erase(merges.begin() + 3);  // "abc" from "ab" and "c" no more
  EXPECT_THAT(error_of([&] { sentencepiece_scores(vocabulary, kTokens.size(), merges, "x"); }),
              HasSubstr("'abc'"));
}

TEST(GgufPreTokenizer, KnowsItsOwnByTheirParts) {
  for (const char* name : {"gpt-2", "smollm", "llama-bpe", "smaug-bpe", "qwen2", "stablelm2",
                           "tekken", "gpt-4o", "default"}) {
    auto made = find_gguf_pre_tokenizer(name);
    ASSERT_TRUE(made.has_value()) << name;
    Json tokenizer = {{"normalizer", made->normalizer},
                      {"pre_tokenizer", made->pre_tokenizer},
                      {"model", {{"ignore_merges", made->ignore_merges}}}};
    EXPECT_EQ(gguf_pre_tokenizer_name(tokenizer), name);
  }
  EXPECT_EQ(find_gguf_pre_tokenizer("llama3")->pre_tokenizer,
            find_gguf_pre_tokenizer("llama-bpe")->pre_tokenizer);
  EXPECT_FALSE(find_gguf_pre_tokenizer("kimi-k2").has_value());
}

TEST(GgufPreTokenizer, HasNoNameForOthers) {
  auto named = [](const Json& pre_tokenizer) {
    return gguf_pre_tokenizer_name({{"pre_tokenizer", pre_tokenizer}});
  };
  EXPECT_EQ(named(nullptr), "");
  EXPECT_EQ(named({{"type", "Whitespace"}}), "");
  EXPECT_EQ(named({{"type", "ByteLevel"}, {"add_prefix_space", true}, {"use_regex", true}}), "");
  EXPECT_EQ(named({{"type", "Split"}, {"pattern", {{"Regex", "a"}}}, {"behavior", "Isolated"}}),
            "");
  const Json cuts = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};
  const Json only_names = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  EXPECT_EQ(named(cuts), "gpt-2");
  EXPECT_EQ(named({{"type", "Sequence"}, {"pretokenizers", Json::array({cuts, only_names})}}), "");
}

}  // namespace
}  // namespace longspan
