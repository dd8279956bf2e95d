#pragma once

#include <filesystem>

#include "checkpoints/model_source.h"
#include "recipes/recipe.h"
#include "trainer/plan/plan.h"

namespace longspan {

/// "float32" or "bfloat16", as model.dtype says.
at::ScalarType dtype_of(const Recipe& recipe);

/// Whether the model's file holds the projections' weights in the recipe's dtype, so that they can
/// be mapped. `model` is the recipe's where that is here, else null: then config.json says it.
bool holds_dtype(const Recipe& recipe, const ModelConfig& config, const ModelSource* model);

/// The recipe as plans see it; `model` as above. Throws Error(kRecipe) when memory.weights is to be
/// mapped and the device is not the CPU.
RunShape run_shape(const Recipe& recipe, const ModelConfig& config, const ModelSource* model,
                   at::Device device);

/// Where the recipe's activations go: memory.offload_dir, else output.dir.
std::filesystem::path offload_directory(const Recipe& recipe);

/// What is free now: the device's memory, and disk where the activations would go.
Machine this_machine(const Recipe& recipe, const KernelRates& rates, at::Device device);

/// The disk that a run's checkpoints take: `at_once` is checkpoint.keep_last and the one being
/// written, or fewer where the run saves fewer.
struct CheckpointSpace {
  int64_t bytes = 0;  // of each
  int64_t at_once = 0;
  int64_t activations = 0;           // that the plan offloads to output.dir too
  std::optional<int64_t> available;  // free there, where that is known

  int64_t total() const { return bytes * at_once + activations; }
  bool fits() const { return !available || total() <= *available; }
  /// "2.7 GiB each, 3 at once, 8.1 GiB of 57 GiB of disk".
  std::string to_string() const;
};
CheckpointSpace checkpoint_space(const Recipe& recipe, const RunShape& shape, const Plan& plan);

/// The recipe's model, or null where not all of it is on this machine.
std::unique_ptr<ModelSource> open_planned_model(const Recipe& recipe);

/// The config.json of the recipe's model. Unlike training, a plan is content with a folder that
/// holds nothing else, or with the path of the file.
ModelConfig read_planned_config(const Recipe& recipe);

}  // namespace longspan
