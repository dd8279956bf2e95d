#include <gmock/gmock.h>

#include "recipes/recipe.h"
#include "recipes/yaml.h"
#include "tests/recipes/recipe_file.h"

namespace longspan {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST_F(RecipeFile, EveryChoiceOfMemoryIsAutoUntilItIsGiven) {
  const MemoryOptions none = load(kSmallest).train.memory;
  EXPECT_FALSE(none.recompute || none.recompute_num_layers || none.offload || none.offload_ram ||
               none.chunk_tokens || none.weights || none.optimizer_state_bits);
  const MemoryOptions given =
      load(kSmallest, {"memory={recompute: layer, recompute_num_layers: 12, "
                       "recompute_rest: selective++, offload: disk, "
                       "offload_dir: /tmp/a, offload_ram: 4GB, "
                       "chunk_tokens: 2048, weights: mapped, optimizer_state_bits: 8}"})
          .train.memory;
  EXPECT_EQ(given.recompute, Recompute::kLayer);
  EXPECT_EQ(given.recompute_num_layers, 12);
  EXPECT_EQ(given.recompute_rest, Recompute::kSelectivePlusPlus);
  EXPECT_EQ(given.offload, Offload::kDisk);
  EXPECT_EQ(given.offload_dir, "/tmp/a");
  EXPECT_EQ(given.offload_ram, 4'000'000'000);
  EXPECT_EQ(given.chunk_tokens, 2048);
  EXPECT_EQ(given.weights, FrozenWeights::kMapped);
  EXPECT_EQ(given.optimizer_state_bits, 8);
  EXPECT_EQ(load(kSmallest, {"memory.offload_ram=512MiB"}).train.memory.offload_ram, 512 << 20);
  EXPECT_EQ(load(kSmallest, {"memory.offload_ram=1000"}).train.memory.offload_ram, 1000);
  EXPECT_FALSE(load(kSmallest, {"memory.offload_ram=auto"}).train.memory.offload_ram);
}

TEST_F(RecipeFile, MemoryIsResolvedAsItWasGiven) {
  for (const char* memory : {"{}", "{recompute: none, chunk_tokens: 0, offload_ram: 1GiB}",
                             "{offload: ram, weights: resident, optimizer_state_bits: 32}"}) {
    Json resolved = resolved_recipe(load(kSmallest, {std::string("memory=") + memory}));
    EXPECT_EQ(resolved_recipe(load(write_yaml(resolved))), resolved) << memory;
  }
}

TEST_F(RecipeFile, WhatIsWrongWithMemoryIsSaidOnceEach) {
  for (const auto& [bad, said] : std::vector<std::pair<const char*, const char*>>{
           {"memory.recompute=some", "'some' is not known; expected one of auto, none, selective"},
           {"memory.offload=cloud", "expected one of auto, none, ram, disk"},
           {"memory.offload_ram=4 apples", "'4 apples' is no size"},
           {"memory.offload_ram=-1", "out of range"},
           {"memory.optimizer_state_bits=16", "expected 32, 8 or auto"},
           {"memory.chunk_tokens=many", "expected a whole number"},
           {"memory.weight=mapped", "did you mean 'weights'"},
           {"memory={recompute: none, offload: disk}", "nothing can be offloaded"},
           {"memory={recompute: none, chunk_tokens: 512}", "works on all tokens at once"},
           {"memory={recompute: none, recompute_num_layers: 1}",
            "memory.recompute_num_layers: recompute: none recomputes no layer"},
           {"memory={recompute: none, recompute_rest: layer}",
            "memory.recompute_rest: recompute: none is for all layers"},
           {"attention={pattern: shifted_sparse, group_size: 4294967299}", "out of range"},
           {"train.recompute=true", "is now memory.recompute"},
           {"model.quantization=nf5", "expected one of none, nf4, int8"}}) {
    const std::string errors = error_of(kSmallest, {bad});
    EXPECT_THAT(errors, HasSubstr(said)) << bad;
    EXPECT_THAT(errors, Not(HasSubstr("\n"))) << bad;
  }
}

}  // namespace
}  // namespace longspan
