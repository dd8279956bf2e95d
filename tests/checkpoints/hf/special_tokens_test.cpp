#include "checkpoints/hf/special_tokens.h"

#include <gtest/gtest.h>

namespace longspan {
namespace {

Json bos_template(int64_t id) {
  Json processor = Json::parse(R"({
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}})");
  processor["special_tokens"]["<s>"]["ids"][0] = id;
  return processor;
}

TEST(AddedBosToken, IsThatOfTheTemplate) {
  Json alone = {{"post_processor", bos_template(7)}};
  EXPECT_EQ(added_bos_token(alone, nullptr, 1), 7);
  Json second = Json::parse(R"({"post_processor": {"type": "Sequence", "processors": [
    {"type": "ByteLevel"}]}})");
  second["post_processor"]["processors"].push_back(bos_template(8));
  EXPECT_EQ(added_bos_token(second, {{"add_bos_token", false}}, 1), 8);
}

// tokenizers 0.23: cls comes before a text, sep behind it.
TEST(AddedBosToken, IsTheFirstTokenOfRobertaProcessing) {
  const Json json = Json::parse(R"({"post_processor": {"type": "RobertaProcessing",
    "sep": ["</s>", 5], "cls": ["<s>", 4], "trim_offsets": true, "add_prefix_space": false}})");
  EXPECT_EQ(added_bos_token(json, nullptr, 1), 4);
  const Json damaged = Json::parse(R"({"post_processor": {"type": "BertProcessing", "cls": 4}})");
  EXPECT_EQ(added_bos_token(damaged, nullptr, 1), std::nullopt);
}

TEST(AddedBosToken, IsThatOfTheConfigWhereTheTokenizerConfigAddsIt) {
  Json without = {{"post_processor", nullptr}};
  EXPECT_EQ(added_bos_token(without, {{"add_bos_token", true}}, 1), 1);
  EXPECT_EQ(added_bos_token(without, {{"add_bos_token", true}}, {}), std::nullopt);
  EXPECT_EQ(added_bos_token(without, {{"add_bos_token", false}}, 1), std::nullopt);
  EXPECT_EQ(added_bos_token(without, {{"add_bos_token", nullptr}}, 1), std::nullopt);
  EXPECT_EQ(added_bos_token(without, nullptr, 1), std::nullopt);
  EXPECT_EQ(added_bos_token(nullptr, nullptr, 1), std::nullopt);
}

TEST(SpecialTokens, AreWrittenAsTheyAreRead) {
  ModelConfig config;
  config.bos_token_id = 1;
  config.eos_token_ids = {2, 3};
  Json json = {{"pad_token_id", 5}};
  write_special_tokens(json, config);
  EXPECT_EQ(json, Json({{"pad_token_id", 5}, {"bos_token_id", 1}, {"eos_token_id", {2, 3}}}));
  Diagnostics diagnostics("config.json");
  Fields fields(json, diagnostics);
  EXPECT_EQ(read_eos_token_ids(fields), config.eos_token_ids);
  config.eos_token_ids = {4};
  write_special_tokens(json, config);
  EXPECT_EQ(json["eos_token_id"], 4);
}

}  // namespace
}  // namespace longspan
