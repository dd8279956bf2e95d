#include "data/tokenizers/tokenizer.h"

#include <gmock/gmock.h>

#include <set>
#include <thread>

#include "src/core/utf8.h"
#include "tests/data/temporary_folder.h"
#include "tests/support/places.h"

namespace longspan {
namespace {

using testing::HasSubstr;

const std::string kReference = (source_folder() / "tests/data/reference/").string();

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

Json tokenizer_json(const std::string& kind) {
  return read_json_file(kReference + kind + "/tokenizer.json", ExitCode::kModel);
}

std::unique_ptr<Tokenizer> load(const std::string& kind) {
  return make_tokenizer(tokenizer_json(kind), kind);
}

std::string refusal(const Json& json) {
  std::string what;
  EXPECT_EQ(exit_code_of([&] { make_tokenizer(json, "t.json"); }, &what), 5) << what;
  return what;
}

class GoldenTokenizer : public testing::TestWithParam<std::string> {
 protected:
  GoldenTokenizer() : tokenizer(load(GetParam())) {
    Json golden = read_json_file(kReference + "golden.json", ExitCode::kFailure);
    for (const auto& hex : golden["texts"]) texts.push_back(from_hex(hex));
    ids = golden["ids"][GetParam()].get<std::vector<std::vector<int32_t>>>();
  }
  std::unique_ptr<Tokenizer> tokenizer;
  std::vector<std::string> texts;
  std::vector<std::vector<int32_t>> ids;
};

// Golden: Hugging Face tokenizers 0.23.3, by reference/make_tokenizers.py.
TEST_P(GoldenTokenizer, GivesTheIdsOfHuggingFace) {
  ASSERT_GT(texts.size(), 100u);
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(tokenizer->encode(texts[i]), ids[i]) << i << ": " << repair_utf8(texts[i]).text;
  }
}

TEST_P(GoldenTokenizer, GivesTheSameIdsWithWarmCachesAndFromManyThreads) {
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < 5 * texts.size(); ++i) {
        size_t k = (i * 7 + static_cast<size_t>(t)) % texts.size();
        wrong[static_cast<size_t>(t)] += tokenizer->encode(texts[k]) != ids[k];
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4));
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, GoldenTokenizer,
                         testing::Values("gpt2", "smollm", "llama3", "llama2", "unigram"),
                         [](const auto& info) { return info.param; });

// One of the tokenizers above with another normalizer, pre_tokenizer or other added_tokens.
TEST(GoldenVariants, GiveTheIdsAndTextsOfHuggingFace) {
  Json golden = read_json_file(kReference + "golden.json", ExitCode::kFailure);
  for (const auto& [name, variant] : golden["variants"].items()) {
    Json json = tokenizer_json(variant["of"]);
    for (const auto& [key, value] : variant["changes"].items()) {
      json[Json::json_pointer((key.starts_with('/') ? "" : "/") + key)] = value;
    }
    auto tokenizer = make_tokenizer(json, name);
    ASSERT_GT(variant["ids"].size(), 40u);
    for (size_t i = 0; i < variant["ids"].size(); ++i) {
      std::string text = from_hex(golden["texts"][i]);
      auto ids = variant["ids"][i].get<std::vector<int32_t>>();
      EXPECT_EQ(tokenizer->encode(text), ids) << name << ": " << text;
      EXPECT_EQ(repair_utf8(tokenizer->decode_whole(ids)).text, variant["decoded"][i])
          << name << ": " << text;
    }
  }
}

TEST(ByteLevelBpe, DecodesToTheSameBytes) {
  auto tokenizer = load("llama3");
  std::string text = "na\xC3\xAFve \xF0\x9F\x98\x80 \\frac{1}{2}\r\n\t  end<|end|>of";
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
}

TEST(ByteLevelBpe, LeavesOutSpecialTokensOnDemand) {
  auto tokenizer = load("llama3");
  auto ids = tokenizer->encode("a<|end|>b<left>c");
  EXPECT_EQ(tokenizer->decode(ids, true), "ab<left>c");
  EXPECT_EQ(tokenizer->decode(ids), "a<|end|>b<left>c");
}

TEST(ByteLevelBpe, IdsWithoutATokenAreNoText) {
  Json json = tokenizer_json("llama3");
  json["model"]["vocab"]["far"] = 5000;
  auto tokenizer = make_tokenizer(json, "t.json");
  EXPECT_EQ(tokenizer->vocab_size(), 5001);
  EXPECT_EQ(exit_code_of([&] { tokenizer->decode({-1}); }), 4);
  EXPECT_EQ(tokenizer->decode({4000, 5000, 5001}), "far");
  EXPECT_TRUE(tokenizer->has_token(5000));
  EXPECT_FALSE(tokenizer->has_token(4000));
  auto unused = ids_without_token(*tokenizer, 5003);
  ASSERT_GE(unused.size(), 3u);
  EXPECT_EQ(unused.back(), 5002);
  EXPECT_EQ(unused[unused.size() - 3], 4999);
}

// Golden: Hugging Face tokenizers 0.23.3. The second one puts a space before "\u0120a" and
// "\u0120b", the names that the first one gives, and takes their letter for the two bytes it is.
TEST(ByteLevelBpe, NamesTheBytesOfNamesWhereByteLevelStandsTwice) {
  Json json = tokenizer_json("gpt2");
  const Json bytes = json["pre_tokenizer"];
  const auto with = [&](const Json& steps) {
    json["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", steps}};
    return make_tokenizer(json, "t.json");
  };
  const auto twice = with(Json::array({bytes, bytes}));
  const std::vector<int32_t> ids{221, 129, 255, 65, 221, 129, 255, 66};
  EXPECT_EQ(twice->encode("a b"), ids);
  EXPECT_EQ(twice->decode(ids), " \u0120a \u0120b");
  EXPECT_NE(twice->fingerprint(), with(Json::array({bytes}))->fingerprint());
  EXPECT_EQ(load("gpt2")->fingerprint(), with(Json::array({bytes}))->fingerprint());
}

// smollm's vocabulary has the bytes of its text alone.
TEST(ByteLevelBpe, CountsTheCharactersThatNoTokenHas) {
  auto tokenizer = load("smollm");
  EncodeNotes notes;
  auto ids = tokenizer->encode_noting("the \u0e01\u0e01 of \u2603!", notes);
  EXPECT_EQ(notes.lost, (std::map<std::string, int64_t>{{"\u0e01", 2}, {"\u2603", 1}}));
  EXPECT_EQ(ids, tokenizer->encode("the \u0e01\u0e01 of \u2603!"));
  EXPECT_TRUE(notes.special.empty());
}

TEST(ByteLevelBpe, TakesAnUnknownTokenThatTheVocabularyLacksForNone) {
  Json json = tokenizer_json("smollm");
  const std::string text = "the \u0e01 of \u2603!";
  auto before = make_tokenizer(json, "t")->encode(text);
  json["model"]["unk_token"] = "<none>";
  EncodeNotes notes;
  EXPECT_EQ(make_tokenizer(json, "t")->encode_noting(text, notes), before);
  EXPECT_EQ(notes.lost, (std::map<std::string, int64_t>{{"\u0e01", 1}, {"\u2603", 1}}));
}

TEST(ByteLevelBpe, CountsSpecialTokensInTheTextOrTakesThemAsText) {
  Json json = tokenizer_json("llama3");
  auto tokenizer = make_tokenizer(json, "t");
  EncodeNotes notes;
  const std::string text = "a<|end|>b<|end|><left>c";
  tokenizer->encode_noting(text, notes);
  EXPECT_EQ(notes.special, (std::map<std::string, int64_t>{{"<|end|>", 2}}));

  json["split_special_tokens"] = true;
  auto splitting = make_tokenizer(json, "t");
  EncodeNotes none;
  auto ids = splitting->encode_noting(text, none);
  EXPECT_TRUE(none.special.empty());
  EXPECT_EQ(splitting->decode(ids, true), "a<|end|>b<|end|><left>c");
  EXPECT_EQ(splitting->fingerprint(), tokenizer->fingerprint());
}

TEST(ByteLevelBpe, TakesLinearTimeOnARunOfOneLetter) {
  auto tokenizer = load("llama3");
  for (const char* run : {"a", " ", "\n", "!", "\xE6\x97\xA5"}) {
    std::string text;
    while (text.size() < (1 << 20)) text += run;
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
  }
}

TEST(ByteLevelBpe, HasOneFingerprintHoweverItsMergesAreWritten) {
  Json json = tokenizer_json("gpt2");
  std::string before = make_tokenizer(json, "a")->fingerprint();
  EXPECT_EQ(before.size(), 64u);
  for (auto& merge : json["model"]["merges"]) {
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  }
  EXPECT_EQ(make_tokenizer(json, "b")->fingerprint(), before);
}

TEST(ByteLevelBpe, ChangesItsFingerprintWithAllThatDecidesTheIds) {
  const Json json = tokenizer_json("gpt2");
  std::set<std::string> fingerprints{make_tokenizer(json, "t")->fingerprint()};
  auto add = [&](auto change) {
    Json changed = json;
    change(changed);
    fingerprints.insert(make_tokenizer(changed, "t")->fingerprint());
  };
  add([](Json& j) { j["pre_tokenizer"]["add_prefix_space"] = false; });
  add([](Json& j) { j["pre_tokenizer"]["use_regex"] = false; });
  add([](Json& j) { std::swap(j["model"]["merges"][0], j["model"]["merges"][1]); });
  add([](Json& j) { j["model"]["ignore_merges"] = true; });
  add([](Json& j) { j["added_tokens"][1]["lstrip"] = true; });
  EXPECT_EQ(fingerprints.size(), 6u);
}

TEST(ByteFallbackBpe, LeavesOutTheFirstSpaceOfAWholeTextAlone) {
  auto tokenizer = load("llama2");
  auto ids = tokenizer->encode("the sea");
  EXPECT_EQ(tokenizer->decode_whole(ids), "the sea");
  EXPECT_EQ(tokenizer->decode(ids), " the sea");
  std::string pieces;
  for (int32_t id : ids) pieces += tokenizer->decode({id});
  EXPECT_EQ(pieces, " the sea");
}

TEST(ByteFallbackBpe, WritesBytesForWhatHasNoToken) {
  auto tokenizer = load("llama2");
  auto ids = tokenizer->encode("\xF0\x9F\x98\x80");
  EXPECT_EQ(ids.size(), 5u);  // the blank before it, and four bytes
  EXPECT_EQ(tokenizer->decode_whole(ids), "\xF0\x9F\x98\x80");
  EXPECT_EQ(tokenizer->decode({ids[1], ids[2]}), "\xF0\x9F");
}

TEST(ByteFallbackBpe, TakesLinearTimeOnARunOfOneLetter) {
  auto tokenizer = load("llama2");
  for (const char* run : {"a", " ", "\n", "\xE6\x97\xA5"}) {
    std::string text;
    while (text.size() < (1 << 20)) text += run;
    EXPECT_EQ(tokenizer->decode_whole(tokenizer->encode(text)), text);
  }
}

// Where merges do tie a line feed's byte or what is around it, words may not be cut there.
TEST(ByteFallbackBpe, MergesAcrossBytesWhereTheFileSaysSo) {
  Json json = tokenizer_json("llama2");
  auto& model = json["model"];
  auto line_feed = model["vocab"]["<0x0A>"].get<int32_t>();
  auto before = make_tokenizer(json, "t")->encode("a\nb");
  ASSERT_EQ(before.size(), 3u);
  EXPECT_EQ(before[1], line_feed);
  model["vocab"]["<0x0A>b"] = 700;
  model["merges"].push_back({"<0x0A>", "b"});
  EXPECT_EQ(make_tokenizer(json, "t")->encode("a\nb"), (std::vector<int32_t>{before[0], 700}));
}

TEST(ByteFallbackBpe, ChangesItsFingerprintWithAllThatDecidesTheIds) {
  const Json json = tokenizer_json("llama2");
  std::set<std::string> fingerprints{make_tokenizer(json, "t")->fingerprint()};
  auto add = [&](auto change) {
    Json changed = json;
    change(changed);
    fingerprints.insert(make_tokenizer(changed, "t")->fingerprint());
  };
  auto metaspace = [](const char* scheme, bool split) {
    return Json{{"type", "Metaspace"},
                {"replacement", "\u2581"},
                {"prepend_scheme", scheme},
                {"split", split}};
  };
  add([](Json& j) { j["normalizer"] = nullptr; });
  add([](Json& j) { j["normalizer"] = {{"type", "NFC"}}; });
  add([](Json& j) { j["normalizer"]["normalizers"].erase(0); });
  add([&](Json& j) { j["pre_tokenizer"] = metaspace("first", false); });
  add([&](Json& j) { j["pre_tokenizer"] = metaspace("always", false); });
  add([&](Json& j) { j["pre_tokenizer"] = metaspace("always", true); });
  EXPECT_EQ(fingerprints.size(), 7u);
}

TEST(ByteFallbackBpe, NamesWhatItDoesNotSupport) {
  auto with = [](auto change) {
    Json json = tokenizer_json("llama2");
    change(json);
    return refusal(json);
  };
  EXPECT_THAT(with([](Json& j) {
                j["pre_tokenizer"] = {{"type", "ByteLevel"}};
              }),
              HasSubstr("ByteLevel"));
  EXPECT_THAT(with([](Json& j) { j["decoder"] = nullptr; }), HasSubstr("decoder"));
  EXPECT_THAT(with([](Json& j) {
                j["decoder"] = {{"type", "WordPiece"}};
              }),
              HasSubstr("WordPiece"));
}

TEST(MakeTokenizer, RefusesReplacementsThatGrowWithoutBound) {
  Json json = tokenizer_json("llama2");
  Json doubling = {{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", "aa"}};
  json["normalizer"] = {{"type", "Sequence"}, {"normalizers", Json(40, doubling)}};
  EXPECT_THAT(refusal(json), HasSubstr("times as long"));
  json["normalizer"]["normalizers"] = Json(40, Json{{"type", "ByteLevel"}});
  EXPECT_THAT(refusal(json), HasSubstr("times as long"));
}

TEST(MakeTokenizer, NamesWhatItDoesNotSupport) {
  auto with = [](auto change) {
    Json json = tokenizer_json("gpt2");
    change(json);
    return refusal(json);
  };
  EXPECT_THAT(with([](Json& j) { j["model"]["type"] = "Unigram"; }), HasSubstr("Unigram"));
  EXPECT_THAT(with([](Json& j) { j["model"]["byte_fallback"] = true; }),
              HasSubstr("byte_fallback"));
  EXPECT_THAT(with([](Json& j) { j["normalizer"] = "NFC"; }), HasSubstr("NFC"));
  EXPECT_THAT(with([](Json& j) { j["model"]["dropout"] = 0.1; }), HasSubstr("dropout"));
  EXPECT_THAT(with([](Json& j) { j["normalizer"] = {{"type", "Shuffle"}}; }), HasSubstr("Shuffle"));
  EXPECT_THAT(with([](Json& j) {
                j["pre_tokenizer"] = {{"type", "Shuffle"}};
              }),
              HasSubstr("Shuffle"));
  EXPECT_THAT(with([](Json& j) {
                j["pre_tokenizer"] = nullptr;
                j["decoder"] = {{"type", "CTC"}};
              }),
              HasSubstr("CTC"));
  const Json bytes = {{"type", "ByteLevel"}};
  const Json metaspace = {{"type", "Metaspace"}, {"replacement", "_"}};
  for (const Json& steps : {Json::array({bytes, metaspace}), Json::array({bytes, bytes, bytes})}) {
    EXPECT_THAT(with([&](Json& j) {
                  j["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", steps}};
                }),
                HasSubstr(fmt::format("pre_tokenizer[{}]", steps.size() - 1)));
  }
}

TEST(MakeTokenizer, NamesWhatIsDamaged) {
  auto with = [](auto change) {
    Json json = tokenizer_json("gpt2");
    change(json);
    return refusal(json);
  };
  EXPECT_THAT(with([](Json& j) { j["model"].erase("vocab"); }), HasSubstr("vocab"));
  EXPECT_THAT(with([](Json& j) { j["model"]["vocab"] = 3; }), HasSubstr("vocab"));
  EXPECT_THAT(with([](Json& j) { j["model"]["vocab"]["a"] = "x"; }), HasSubstr("t.json"));
  EXPECT_THAT(with([](Json& j) { j["model"]["vocab"]["a"] = -7; }), HasSubstr("-7"));
  EXPECT_THAT(with([](Json& j) { j["model"]["vocab"]["a"] = 1LL << 40; }), HasSubstr("'a'"));
  EXPECT_THAT(with([](Json& j) { j["model"]["vocab"]["a"] = 70; }), HasSubstr("two tokens"));
  EXPECT_THAT(with([](Json& j) { j["model"]["merges"].push_back("a b c"); }), HasSubstr("a b c"));
  EXPECT_THAT(with([](Json& j) { j["model"]["merges"].push_back("q qqq"); }), HasSubstr("lacks"));
  EXPECT_THAT(with([](Json& j) { j["added_tokens"][1]["id"] = 0; }), HasSubstr("contradicts"));
  EXPECT_THAT(refusal(Json::array()), HasSubstr("t.json"));
  EXPECT_THAT(refusal(Json::object()), HasSubstr("model"));
}

}  // namespace
}  // namespace longspan
