#pragma once

#include <c10/core/Device.h>

#include "tools/support/training_inputs.h"
#include "trainer/plan/plan.h"

namespace longspan {

/// Logs what is about to run: model, data, each stage and what its rows leave out, memory. Warns of
/// a step that takes more rows than the store has.
void show_training_banner(const Recipe& recipe, const TrainingInputs& inputs, at::Device device,
                          const Plan& plan);

}  // namespace longspan
