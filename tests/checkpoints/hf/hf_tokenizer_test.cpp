#include "checkpoints/hf/hf_tokenizer.h"

#include <gmock/gmock.h>

#include <random>

#include "checkpoints/sentencepiece/sentencepiece_json.h"
#include "src/core/text.h"
#include "tests/checkpoints/temporary_folder.h"
#include "tests/support/places.h"

namespace longspan {
namespace {

using testing::HasSubstr;

// Made by sentencepiece 0.2.3, and the tokenizer.json of it by transformers 5.23.0's
// generate_merges: tests/data/reference/make_tokenizers.py.
const std::string kReference = (source_folder() / "tests/data/reference/llama2/").string();

std::string tokenizer_model() {
  return read_file(kReference + "tokenizer.model", ExitCode::kModel);
}

Json golden() { return read_json_file(kReference + "tokenizer.json", ExitCode::kModel); }

struct HfTokenizer : testing::Test {
  HfTokenizer() { folder.write("tokenizer.model", tokenizer_model()); }
  void write(const std::string& name, const Json& json) { folder.write(name, json.dump()); }
  Json made() const { return hf_tokenizer_json(folder.path()); }
  std::string error() const {
    return error_of([&] { made(); });
  }
  Json added(const std::string& content) const {
    Json json = made();
    for (const auto& token : json["added_tokens"]) {
      if (token["content"] == content) return token;
    }
    return nullptr;
  }
  std::vector<std::string> single() const {
    std::vector<std::string> parts;
    Json json = made();
    for (const auto& item : json["post_processor"]["single"]) {
      parts.push_back(item.begin().value()["id"].get<std::string>());
    }
    return parts;
  }
  TemporaryFolder folder;
};

TEST_F(HfTokenizer, MakesWhatTransformersMadeOfASentencePieceModel) {
  Json json = tokenizer_json_file(made(), "t"), expected = golden();
  EXPECT_EQ(json["model"]["merges"], expected["model"]["merges"]);
  EXPECT_EQ(nlohmann::json(json["model"]["vocab"]), nlohmann::json(expected["model"]["vocab"]));
  for (const char* key : {"unk_token", "fuse_unk", "byte_fallback", "ignore_merges"}) {
    EXPECT_EQ(json["model"][key], expected["model"][key]) << key;
  }
  for (const char* key : {"added_tokens", "normalizer", "pre_tokenizer", "decoder"}) {
    EXPECT_EQ(nlohmann::json(json[key]), nlohmann::json(expected[key])) << key;
  }
}

TEST_F(HfTokenizer, PrefersTokenizerJson) {
  write("tokenizer.json", {{"model", "mine"}});
  EXPECT_EQ(made()["model"], "mine");
}

/// A tokenizer.json of the tokens a, b and </s>, which is special.
Json three_tokens() {
  return {{"added_tokens", {{{"id", 2}, {"content", "</s>"}, {"special", true}}}},
          {"model", {{"vocab", {{"a", 0}, {"b", 1}, {"</s>", 2}}}}}};
}

// transformers 5.23.0, AutoTokenizer: an id of added_tokens_decoder decides the order alone.
TEST_F(HfTokenizer, TakesTokensOfTheFilesBesideTokenizerJson) {
  write("tokenizer.json", three_tokens());
  auto token = [](const char* content, bool rstrip) {
    return Json{{"content", content}, {"rstrip", rstrip}, {"normalized", false}, {"special", true}};
  };
  write("tokenizer_config.json", {{"added_tokens_decoder",
                                   {{"300", token("<a>", false)},
                                    {"280", token("<b>", false)},
                                    {"2", token("</s>", true)},
                                    {"0", token("a", false)}}},
                                  {"eos_token", "</s>"},
                                  {"pad_token", "<pad>"}});
  write("special_tokens_map.json", {{"unk_token", "<unk>"}});
  EXPECT_EQ(added("<b>")["id"], 3);
  EXPECT_EQ(added("<a>")["id"], 4);
  EXPECT_EQ(added("<pad>")["id"], 5);
  EXPECT_EQ(added("a")["id"], 0);
  EXPECT_EQ(added("</s>")["rstrip"], true);
  EXPECT_TRUE(added("<unk>").is_null());  // added_tokens_decoder counts in its place
}

TEST_F(HfTokenizer, TakesTokensOfAddedTokensJsonAndTheMapBesideTokenizerJson) {
  write("tokenizer.json", three_tokens());
  write("added_tokens.json", {{"<t>", 300}, {"<u>", 290}, {"</s>", 2}});
  write("special_tokens_map.json",
        {{"pad_token", {{"content", "<p>"}, {"lstrip", true}}}, {"eos_token", "<u>"}});
  write("tokenizer_config.json", {{"split_special_tokens", true}});
  EXPECT_EQ(added("<u>")["id"], 3);
  EXPECT_EQ(added("<u>")["special"], true);
  EXPECT_EQ(added("<t>")["id"], 4);
  EXPECT_EQ(added("<t>")["special"], false);
  EXPECT_EQ(added("<t>")["normalized"], true);
  EXPECT_EQ(added("<p>")["id"], 5);
  EXPECT_EQ(added("<p>")["lstrip"], true);
  EXPECT_EQ(made()["split_special_tokens"], true);
}

// transformers 5.23.0, AutoTokenizer: each key that ends in "_token" names a special token.
TEST_F(HfTokenizer, TakesTheTokensThatAFamilyNames) {
  write("tokenizer.json", three_tokens());
  write("tokenizer_config.json", {{"add_bos_token", true},
                                  {"image_token", "<img>"},
                                  {"pad_token", "<pad>"},
                                  {"extra_special_tokens", {"<x>"}},
                                  {"additional_special_tokens", {"<y>"}}});
  EXPECT_EQ(added("<pad>")["id"], 3);
  EXPECT_EQ(added("<img>")["id"], 4);
  EXPECT_EQ(added("<img>")["special"], true);
  EXPECT_EQ(added("<x>")["id"], 5);
  EXPECT_TRUE(added("<y>").is_null());
  write("tokenizer_config.json", {{"model_specific_special_tokens", {{"boi_token", "<boi>"}}},
                                  {"extra_special_tokens", {"<eoi>"}}});
  EXPECT_EQ(added("<boi>")["id"], 3);
  EXPECT_EQ(added("<eoi>")["id"], 4);
}

// As above: special_tokens_map.json goes before tokenizer_config.json, key by key.
TEST_F(HfTokenizer, TakesTheMapsTokensInPlaceOfTheConfigs) {
  write("tokenizer.json", three_tokens());
  write("tokenizer_config.json", {{"pad_token", "<old>"}});
  write("special_tokens_map.json",
        {{"pad_token", "<new>"}, {"additional_special_tokens", {"<y>", "<z>"}}});
  EXPECT_TRUE(added("<old>").is_null());
  EXPECT_EQ(added("<new>")["id"], 3);
  EXPECT_EQ(added("<z>")["id"], 5);
}

TEST(HfVocabAndMerges, AreByteLevelBpe) {
  TemporaryFolder folder;
  folder.write("vocab.json", R"({"a": 0, "b": 1, "ab": 2})");
  folder.write("merges.txt", "#version: 0.2\na b\n");
  Json json = hf_tokenizer_json(folder.path());
  EXPECT_EQ(json["model"]["merges"], Json::array({Json::array({"a", "b"})}));
  EXPECT_EQ(json["pre_tokenizer"]["type"], "ByteLevel");
  EXPECT_EQ(json["pre_tokenizer"]["add_prefix_space"], false);
  EXPECT_TRUE(json["normalizer"].is_null());
  EXPECT_TRUE(has_hf_tokenizer(folder.path()));
  folder.write("config.json", R"({"model_type": "qwen2"})");
  EXPECT_EQ(hf_tokenizer_json(folder.path())["normalizer"]["type"], "NFC");
  folder.write("merges.txt", "\r\na b\r\n\n");
  EXPECT_EQ(hf_tokenizer_json(folder.path())["model"]["merges"], json["model"]["merges"]);
  folder.write("merges.txt", "a b c\n");
  EXPECT_THAT(error_of([&] { hf_tokenizer_json(folder.path()); }), HasSubstr("line 1: 'a b c'"));
}

// transformers 5.23.0: GPT2Tokenizer and Qwen2Tokenizer take "<|endoftext|>" for what is not named.
TEST(HfVocabAndMerges, HaveTheSpecialTokensOfTheirClass) {
  TemporaryFolder folder;
  const auto added = [&](const Json& config) {
    folder.write("tokenizer_config.json", config.dump());
    std::vector<std::string> contents;
    const Json json = hf_tokenizer_json(folder.path());
    for (const auto& token : json["added_tokens"]) {
      contents.push_back(
          fmt::format("{} {}", token["id"].get<int64_t>(), token["content"].get<std::string>()));
    }
    return contents;
  };
  using Contents = std::vector<std::string>;
  folder.write("merges.txt", "");
  folder.write("vocab.json", R"({"a": 0, "<|endoftext|>": 1})");
  EXPECT_EQ(added(Json::object()), Contents{"1 <|endoftext|>"});
  folder.write("vocab.json", R"({"a": 0, "</s>": 1})");
  EXPECT_EQ(added(Json::object()), Contents{});
  EXPECT_EQ(added({{"tokenizer_class", "GPT2Tokenizer"}}), Contents{"2 <|endoftext|>"});
  EXPECT_EQ(added({{"tokenizer_class", "GPT2TokenizerFast"},
                   {"unk_token", nullptr},
                   {"bos_token", "</s>"},
                   {"eos_token", "</s>"}}),
            Contents{"1 </s>"});
  EXPECT_EQ(added({{"tokenizer_class", "Qwen2Tokenizer"},
                   {"unk_token", nullptr},
                   {"eos_token", "</s>"},
                   {"pad_token", "<pad>"}}),
            (Contents{"1 </s>", "2 <pad>"}));
}

TEST(HfTokenizerFiles, HaveTheAdditionalChatTemplates) {
  TemporaryFolder folder;
  folder.write("tokenizer.json", "{}");
  std::filesystem::create_directory(folder.path() / "additional_chat_templates");
  folder.write("additional_chat_templates/tool_use.jinja", "{{ tools }}");
  const std::pair<std::string, std::string> expected{"additional_chat_templates/tool_use.jinja",
                                                     "{{ tools }}"};
  EXPECT_THAT(hf_tokenizer_files(folder.path()), testing::Contains(expected));
}

TEST_F(HfTokenizer, IsNullWithoutAnyTokenizer) {
  TemporaryFolder empty;
  EXPECT_TRUE(hf_tokenizer_json(empty.path()).is_null());
}

TEST_F(HfTokenizer, FollowsTheKeysOfLlamaTokenizer) {
  auto scheme = [&](Json keys) {
    keys["tokenizer_class"] = "LlamaTokenizer";
    write("tokenizer_config.json", keys);
    Json json = made();
    EXPECT_TRUE(json["normalizer"].is_null());
    EXPECT_EQ(json["pre_tokenizer"]["split"], false);
    return json["pre_tokenizer"]["prepend_scheme"].get<std::string>();
  };
  EXPECT_EQ(scheme(Json::object()), "first");
  EXPECT_EQ(scheme({{"legacy", true}}), "always");
  EXPECT_EQ(scheme({{"legacy", true}, {"add_prefix_space", false}}), "never");
}

TEST_F(HfTokenizer, LlamaTokenizerOverridesATokenizerJsonOfALlamaModelAlone) {
  write("tokenizer.json", golden());
  write("tokenizer_config.json", {{"tokenizer_class", "LlamaTokenizerFast"}});
  write("config.json", {{"model_type", "mistral"}});
  EXPECT_EQ(made(), golden());
  write("config.json", {{"model_type", "llama"}});
  EXPECT_EQ(made()["pre_tokenizer"]["prepend_scheme"], "first");
  folder.write("tokenizer_config.json", "{}");
  EXPECT_EQ(made(), golden());
  write("config.json", {{"model_type", "llama"}, {"tokenizer_class", "LlamaTokenizer"}});
  EXPECT_EQ(made()["pre_tokenizer"]["prepend_scheme"], "first");
  write("tokenizer_config.json", {{"tokenizer_class", "CodeLlamaTokenizer"}, {"legacy", true}});
  EXPECT_EQ(made()["pre_tokenizer"]["prepend_scheme"], "first");  // it has no legacy
  write("config.json", {{"model_type", "llama"}});
  write("tokenizer_config.json", {{"tokenizer_class", "LlamaTokenizer"}});
  Json byte_level = golden();
  byte_level["model"]["byte_fallback"] = false;
  write("tokenizer.json", byte_level);
  EXPECT_EQ(made(), byte_level);
}

// transformers 5.23.0, GemmaTokenizer.__init__: AutoTokenizer takes it for a llama model.
TEST_F(HfTokenizer, GemmaTokenizerOverridesATokenizerJsonOfALlamaModelAlone) {
  write("tokenizer.json", golden());
  write("tokenizer_config.json", {{"tokenizer_class", "GemmaTokenizer"}, {"unk_token", "<unk>"}});
  write("config.json", {{"model_type", "mistral"}});
  EXPECT_EQ(made(), golden());
  for (const char* name : {"GemmaTokenizer", "GemmaTokenizerFast"}) {
    write("tokenizer_config.json", {{"tokenizer_class", name},
                                    {"bos_token", "<s>"},
                                    {"eos_token", {{"content", "</s>"}}},
                                    {"pad_token", nullptr}});
    write("config.json", {{"model_type", "llama"}});
    const Json json = made();
    EXPECT_EQ(json["normalizer"]["type"], "Replace");
    EXPECT_EQ(json["normalizer"]["content"], "\u2581");
    EXPECT_EQ(json["pre_tokenizer"]["behavior"], "MergedWithPrevious");
    EXPECT_EQ(json["decoder"]["decoders"].size(), 3u);  // no Strip: no blank is put before a text
    EXPECT_EQ(json["model"]["byte_fallback"], true);
    EXPECT_EQ(json["model"]["unk_token"], "<unk>");
    EXPECT_EQ(json["model"]["merges"], golden()["model"]["merges"]);
    EXPECT_EQ(added("<mask>")["id"], 700);
    EXPECT_TRUE(added("<pad>").is_null());
    EXPECT_TRUE(added("<bos>").is_null());
  }
}

TEST_F(HfTokenizer, GemmaTokenizerBesideByteLevelIsAnErrorThatSaysWhatToWrite) {
  Json byte_level = golden();
  byte_level["model"]["byte_fallback"] = false;
  byte_level["pre_tokenizer"] = {{"type", "Sequence"},
                                 {"pretokenizers", Json::array({Json{{"type", "ByteLevel"}}})}};
  write("tokenizer.json", byte_level);
  write("config.json", {{"model_type", "llama"}});
  write("tokenizer_config.json", {{"tokenizer_class", "GemmaTokenizer"}});
  EXPECT_THAT(error(), testing::AllOf(HasSubstr("tokenizer_config.json: names GemmaTokenizer"),
                                      HasSubstr("\"PreTrainedTokenizerFast\"")));
  write("tokenizer_config.json", {{"tokenizer_class", "PreTrainedTokenizerFast"}});
  EXPECT_EQ(made(), byte_level);
}

TEST_F(HfTokenizer, AddsBosUnlessToldOtherwiseAndEosWhenTold) {
  EXPECT_EQ(single(), (std::vector<std::string>{"<s>", "A"}));
  write("tokenizer_config.json", {{"add_bos_token", false}, {"add_eos_token", true}});
  EXPECT_EQ(single(), (std::vector<std::string>{"A", "</s>"}));
  write("tokenizer_config.json", {{"bos_token", {{"content", "</s>"}}}});
  EXPECT_EQ(made()["post_processor"]["special_tokens"]["</s>"]["ids"], Json::array({2}));
}

TEST_F(HfTokenizer, TakesAddedTokensOfAddedTokensJson) {
  write("added_tokens.json", {{"<|im_end|>", 700}, {"tool", 701}});
  write("special_tokens_map.json", {{"eos_token", "<|im_end|>"}, {"pad_token", "[PAD]"}});
  EXPECT_EQ(added("<|im_end|>")["special"], true);
  EXPECT_EQ(added("tool")["special"], false);
  EXPECT_EQ(added("[PAD]")["id"], 702);
  write("added_tokens.json", {{"tool", 5}});
  EXPECT_THAT(error(), HasSubstr("'tool' has the id 5"));
}

TEST_F(HfTokenizer, TakesAddedTokensOfTheDecoderAndRenamesPieces) {
  Json token = {{"content", "<|user|>"}, {"lstrip", false},     {"rstrip", true},
                {"normalized", false},   {"single_word", true}, {"special", true}};
  Json renamed = token;
  renamed["content"] = "<|end|>";
  write("tokenizer_config.json", {{"added_tokens_decoder", {{"700", token}, {"2", renamed}}}});
  write("added_tokens.json", {{"<|other|>", 3}});  // no longer looked at
  EXPECT_EQ(added("<|user|>")["rstrip"], true);
  EXPECT_EQ(added("<|user|>")["single_word"], true);
  EXPECT_EQ(added("<|end|>")["id"], 2);
  const Json vocab = tokenizer_json_file(made(), "t")["model"]["vocab"];
  EXPECT_EQ(vocab["<|end|>"], 2);
  EXPECT_FALSE(vocab.contains("</s>"));
  for (const char* id : {"-1", "x", "", "99999999999999999999"}) {
    write("tokenizer_config.json", {{"added_tokens_decoder", {{id, token}}}});
    EXPECT_THAT(error(), HasSubstr("is no token")) << id;
  }
}

// What is written later counts: trainer_spec is field 2, normalizer_spec field 3.
TEST_F(HfTokenizer, LeavesToTheLibraryWhatChangesItsText) {
  auto with = [&](const std::string& more) {
    folder.write("tokenizer.model", tokenizer_model() + more);
    return made();
  };
  Json plain = with("");
  EXPECT_EQ(plain["normalizer"]["type"], "Sequence");
  EXPECT_EQ(plain["model"]["cut_freely"], true);
  EXPECT_FALSE(sentencepiece_model_of(plain, "t")->add_dummy_prefix);  // the normalizer puts it
  Json unigram = with("\x12\x02\x18\x01");
  EXPECT_EQ(unigram["model"]["cut_freely"], false);
  EXPECT_EQ(tokenizer_json_file(unigram, "t")["model"]["type"], "Unigram");
  EXPECT_EQ(with("\x0A\x05\x0A\x01\x7F\x18\x05")["normalizer"]["type"], "Sequence");
  Json collapsing = with("\x1A\x02\x20\x01");  // remove_extra_whitespaces
  EXPECT_TRUE(collapsing["normalizer"].is_null());
  EXPECT_TRUE(sentencepiece_model_of(collapsing, "t")->add_dummy_prefix);
  EXPECT_THAT(error_of([&] { tokenizer_json_file(collapsing, "t"); }),
              HasSubstr("tokenizer.model"));
}

TEST_F(HfTokenizer, NamesWhatTheLibraryWouldNotTake) {
  auto with = [&](const std::string& more) {
    folder.write("tokenizer.model", tokenizer_model() + more);
    return error();
  };
  EXPECT_THAT(with("\x1A\x03\x12\x01x"), HasSubstr("table of characters is damaged"));
  EXPECT_THAT(with("\x0A\x05\x0A\x01\x7F\x18\x02"), HasSubstr("2 pieces of the type UNKNOWN"));
  EXPECT_THAT(with("\x0A\x05\x0A\x01\x7F\x18\x06"), HasSubstr("of type BYTE"));
  EXPECT_THAT(with(std::string("\x0A\x08\x0A\x01\x7F\x15\x00\x00\xC0\x7F", 10)),
              HasSubstr("scored nan"));
}

TEST_F(HfTokenizer, FollowsAddDummyPrefixOfTheModel) {
  folder.write("tokenizer.model", tokenizer_model() + std::string("\x1A\x02\x18\x00", 4));
  EXPECT_EQ(made()["normalizer"]["type"], "Replace");
}

// Either read or refused, never a crash: run it under the sanitizers to see more.
TEST_F(HfTokenizer, SurvivesDamagedModels) {
  std::mt19937 random(0);
  const std::string whole = tokenizer_model();
  for (int i = 0; i < 300; ++i) {
    std::string bytes = whole.substr(0, i % 2 == 0 ? random() % whole.size() : whole.size());
    for (int change = 0; change < i % 5; ++change) {
      if (!bytes.empty()) bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    folder.write("tokenizer.model", bytes);
    try {
      made();
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ExitCode::kModel);
    }
  }
}

}  // namespace
}  // namespace longspan
