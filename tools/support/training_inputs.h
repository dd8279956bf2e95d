#pragma once

#include <memory>
#include <vector>

#include "checkpoints/model_source.h"
#include "data/store/loader.h"
#include "data/store/token_store.h"
#include "recipes/recipe.h"
#include "src/model/model_config.h"

namespace longspan {

/// All that a run reads, opened and checked; nothing large is in memory yet.
struct TrainingInputs {
  std::unique_ptr<ModelSource> model;
  ModelConfig config;
  std::shared_ptr<const TokenStore> store;                // data.path
  std::vector<bool> kept_documents;                       // of it, by data.scores; empty: all
  std::vector<std::shared_ptr<const TokenStore>> stores;  // one a stage: its own, or `store`
  std::vector<std::shared_ptr<const Loader>> loaders;     // one a stage
  std::shared_ptr<const Loader> validation;               // null when there is none
};

/// Warns of keys that do nothing. Throws Error(kRecipe), Error(kModel) or Error(kData) where one of
/// them is not as it should be or does not suit the others.
TrainingInputs open_training_inputs(const Recipe& recipe);

/// What decides the bits of a run besides the recipe: which base model and which documents.
Json run_identity(const Recipe& recipe, const TrainingInputs& inputs);

}  // namespace longspan
