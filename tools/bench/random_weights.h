#pragma once

#include "recipes/recipe.h"
#include "src/model/causal_lm.h"

namespace longspan {

/// Gives each parameter weights drawn on `device`: normal, around 1 for norms.
void draw_weights(CausalLm& model, at::ScalarType dtype, at::Device device);

/// The recipe's model with its adapter and random weights drawn on `device`: what a step is
/// measured with where reading or writing so many would take the time that there is. Quantised
/// weights are drawn and quantised once a shape.
std::unique_ptr<CausalLm> draw_recipe_model(const Recipe& recipe, const ModelConfig& config,
                                            at::Device device);

}  // namespace longspan
