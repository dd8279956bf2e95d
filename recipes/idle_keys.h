#pragma once

#include <string>
#include <vector>

#include "recipes/recipe.h"

namespace longspan {

/// What a recipe says that changes nothing, each with its place: attention that sees all as full
/// attention does, min_lr_ratio of a schedule that never falls, keys of a loss that weighs all
/// tokens alike, keys that each stage has for itself, a place for what is not offloaded; with
/// `base` (else null) also patterns that no module goes by, groups that hold no weight, and a
/// learning rate that no weight has.
std::vector<std::string> idle_keys(const Recipe& recipe, const ModelConfig* base);

/// Warns of each.
void warn_of_idle_keys(const Recipe& recipe, const ModelConfig* base);

}  // namespace longspan
