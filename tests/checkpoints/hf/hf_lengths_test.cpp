#include "checkpoints/hf/hf_lengths.h"

#include <gmock/gmock.h>

namespace longspan {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

ModelConfig extended(const Json& source, int64_t max_position_embeddings) {
  ModelConfig config;
  config.source = source;
  config.max_position_embeddings = max_position_embeddings;
  return config;
}

TEST(HfLengths, KeysThatHeldTheWholeContextHoldTheLongerOne) {
  for (const char* key : kLengthKeys) {
    Json json{{"max_position_embeddings", 64}, {key, 64}};
    write_length_keys(json, extended(json, 256));
    EXPECT_EQ(json[key], 256) << key;
  }
}

// transformers 4 makes a GenerationConfig of it.
TEST(HfLengths, AMaxLengthOfTheWholeContextBecomesTheLongerOne) {
  for (int64_t max_length : {64, 20}) {
    Json json{{"max_position_embeddings", 64}, {"max_length", max_length}};
    write_length_keys(json, extended(json, 256));
    EXPECT_EQ(json["max_length"], max_length == 64 ? 256 : 20);
  }
}

TEST(HfLengths, OthersStayAsTheyAre) {
  Json json{{"max_position_embeddings", 64},
            {"seq_length", 16},
            {"model_max_length", 1000},
            {"max_seq_len", nullptr}};
  Json before = json;
  write_length_keys(json, extended(json, 256));
  EXPECT_EQ(json, before);
}

TEST(HfLengths, ALengthThatStaysShorterIsNamed) {
  testing::internal::CaptureStderr();
  Json json{{"max_position_embeddings", 256}, {"seq_length", 16}, {"model_max_length", 256}};
  warn_of_short_lengths(json, "out/config.json");
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              AllOf(HasSubstr("out/config.json: seq_length is 16 and max_position_embeddings 256"),
                    Not(HasSubstr("model_max_length"))));
}

}  // namespace
}  // namespace longspan
