#include "checkpoints/hf/config_identity.h"

#include <gtest/gtest.h>

#include "checkpoints/hf/hf_config.h"

namespace longspan {
namespace {

Json identity_of(const Json& changes) {
  Json json = {{"architectures", {"LlamaForCausalLM"}},
               {"model_type", "llama"},
               {"vocab_size", 61},
               {"hidden_size", 36},
               {"intermediate_size", 40},
               {"num_hidden_layers", 2},
               {"num_attention_heads", 6},
               {"num_key_value_heads", 2},
               {"max_position_embeddings", 64},
               {"rms_norm_eps", 1e-5},
               {"rope_theta", 10000.0}};
  json.update(changes);
  return config_identity(read_hf_config(json, "config.json"));
}

TEST(ConfigIdentity, IsThatOfTheModelHoweverItWasSaved) {
  const Json saved = identity_of(Json::object());
  EXPECT_EQ(identity_of({{"transformers_version", "5.23.0"},
                         {"torch_dtype", "bfloat16"},
                         {"use_cache", false},
                         {"_name_or_path", "/home/a"},
                         {"mlp_bias", false},
                         {"rope_scaling", nullptr}}),
            saved);
  EXPECT_EQ(identity_of({{"rope_theta", nullptr},
                         {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 1e4}}}}),
            saved);
}

TEST(ConfigIdentity, ChangesWithWhatTheModelComputes) {
  const Json saved = identity_of(Json::object());
  for (const Json& change :
       {Json{{"rope_theta", 500000.0}}, Json{{"rms_norm_eps", 1e-6}}, Json{{"vocab_size", 62}},
        Json{{"rope_scaling", {{"rope_type", "linear"}, {"factor", 2.0}}}},
        Json{{"an_unknown_key", 3}}}) {
    EXPECT_NE(identity_of(change), saved) << change;
  }
}

}  // namespace
}  // namespace longspan
