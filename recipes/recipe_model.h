#pragma once

#include <memory>

#include "checkpoints/model_source.h"
#include "recipes/recipe.h"
#include "src/model/causal_lm.h"
#include "src/nn/weight_residency.h"

namespace longspan {

struct RecipeModel {
  std::unique_ptr<CausalLm> model;
  std::shared_ptr<WeightResidency> residency;  // of frozen weights that stay in their file, or null
};

/// The recipe's base, read from `source`, with its adapter, on `device`: what a Trainer takes.
/// Draws the adapter's start from LibTorch's default generator. Throws as import_model, apply_lora
/// and MappedWeights do.
RecipeModel open_recipe_model(const Recipe& recipe, const ModelSource& source, at::Device device);

}  // namespace longspan
