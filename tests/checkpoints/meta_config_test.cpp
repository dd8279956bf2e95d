#include "checkpoints/meta_config.h"

#include <gtest/gtest.h>

#include "tests/checkpoints/temporary_folder.h"

namespace longspan {
namespace {

/// params.json of a published LLaMA 3.x of this width.
Json config_of(int64_t dim, bool has_output) {
  TemporaryFolder folder;
  Json params = {{"dim", dim},           {"n_layers", 16},         {"n_heads", 32},
                 {"n_kv_heads", 8},      {"norm_eps", 1e-5},       {"rope_theta", 500000.0},
                 {"vocab_size", 128256}, {"use_scaled_rope", true}};
  MetaShape shape{.vocab_size = 128256, .intermediate_size = 4 * dim, .tied = !has_output};
  return meta_config_json(folder.write("params.json", params.dump()), shape);
}

TEST(MetaConfig, TiesTheEmbeddingsThatLlama32HasTwice) {
  for (int64_t dim : {2048, 3072}) EXPECT_EQ(config_of(dim, true)["tie_word_embeddings"], true);
  EXPECT_EQ(config_of(4096, true)["tie_word_embeddings"], false);  // LLaMA 3.1
  EXPECT_EQ(config_of(4096, false)["tie_word_embeddings"], true);
}

}  // namespace
}  // namespace longspan
