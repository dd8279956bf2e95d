#pragma once

#include <cstdint>
#include <string>

#include "recipes/recipe.h"

namespace longspan {

/// The recipe as state.json keeps it, beside the hashes of weights and tokens: without where things
/// are and who watches.
Json resume_identity(const Recipe& recipe);

/// What of it binds a run that goes on after `step` finished steps: what is trained, and which rows
/// it has taken. All else may change, as docs/recipes.md lists: stages that have not begun, the
/// length of the one at work, and how the rows of a step are divided into passes. Takes those of
/// earlier versions too.
Json identity_at(const Json& identity, int64_t step);

/// Throws Error(kCheckpoint) with each key that binds a run after `step` steps and differs between
/// the identity that a checkpoint holds and that of the run to be; `place` is the checkpoint. What
/// earlier versions hashed otherwise, or not, is compared as far as both have it.
void require_same_run(const Json& saved, const Json& current, int64_t step,
                      const std::string& place);

}  // namespace longspan
