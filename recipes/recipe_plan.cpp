#include "recipes/recipe_plan.h"

#include <algorithm>

#include "checkpoints/dtype.h"
#include "checkpoints/hf/hf_config.h"
#include "checkpoints/mapped_weights.h"
#include "src/core/disk_space.h"
#include "src/core/process_memory.h"
#include "src/core/text.h"
#include "src/nn/device.h"

namespace longspan {

namespace fs = std::filesystem;

at::ScalarType dtype_of(const Recipe& recipe) {
  return recipe.model.dtype == "float32" ? at::kFloat : at::kBFloat16;
}

namespace {

bool states_dtype(const ModelConfig& config, at::ScalarType dtype) {
  for (const char* key : {"dtype", "torch_dtype"}) {
    const Json stated = config.source.value(key, Json());
    if (stated.is_string()) return stated == torch_dtype(dtype);
  }
  return true;
}

}  // namespace

bool holds_dtype(const Recipe& recipe, const ModelConfig& config, const ModelSource* model) {
  const at::ScalarType dtype = dtype_of(recipe);
  return model ? can_be_mapped(*model, dtype) : states_dtype(config, dtype);
}

RunShape run_shape(const Recipe& recipe, const ModelConfig& config, const ModelSource* model,
                   at::Device device) {
  RunShape shape = run_shape(config, recipe.lora, dtype_of(recipe),
                             *quantization_named(recipe.model.quantization),
                             recipe.train.loss_chunk_tokens, recipe.train.threads);
  shape.device = device;
  shape.deterministic = recipe.train.deterministic;
  if (!recipe.validation.path.empty()) shape.validation_seq_len = recipe.validation.seq_len;
  const LossOptions& loss = recipe.train.loss;
  if (loss.long_minus_short()) shape.short_context = loss.short_context;
  shape.can_be_mapped = device.is_cpu() && !recipe.lora.none && holds_dtype(recipe, config, model);
  if (recipe.train.memory.weights == FrozenWeights::kMapped && !device.is_cpu()) {
    Diagnostics diagnostics = recipe.places;
    diagnostics.error("memory.weights",
                      "'mapped' is for the CPU, which reads a file where it lies; expected "
                      "resident or auto with --device cuda");
    diagnostics.throw_if_any(ExitCode::kRecipe);
  }
  return shape;
}

fs::path offload_directory(const Recipe& recipe) {
  const std::string& given = recipe.train.memory.offload_dir;
  return given.empty() ? recipe.output_dir : given;
}

Machine this_machine(const Recipe& recipe, const KernelRates& rates, at::Device device) {
  return {.rates = rates,
          .usual = usual_rates(device),
          .available_bytes = available_memory_bytes(device),
          .available_ram_bytes = available_memory_bytes(),
          .available_disk_bytes = free_disk_bytes(offload_directory(recipe))};
}

std::string CheckpointSpace::to_string() const {
  return fmt::format("{} each, {} at once, {}{} of {} of disk", human_bytes(bytes), at_once,
                     human_bytes(total()), activations > 0 ? " with the activations" : "",
                     available ? human_bytes(*available) : "an unknown size");
}

CheckpointSpace checkpoint_space(const Recipe& recipe, const RunShape& shape, const Plan& plan) {
  // The adapter, or whole model, and the masters in float32, and the moments.
  const int64_t moments = plan.memory.optimizer_state_bits == 8 ? 2 : 8;
  const bool in_one_place = recipe.train.memory.offload_dir.empty();
  const CheckpointingOptions& options = recipe.checkpoint;
  CheckpointSpace space{.bytes = shape.parameters.trainable() * (4 + 4 + moments),
                        .activations = in_one_place ? plan.disk_bytes() : 0,
                        .available = free_disk_bytes(recipe.output_dir)};
  const int64_t steps = total_steps(recipe.stages);
  const int64_t every = options.every_minutes > 0 ? 1
                        : options.every_steps > 0 ? options.every_steps
                                                  : steps;
  space.at_once = std::min(options.keep_last + 1, (steps + every - 1) / every);
  return space;
}

std::unique_ptr<ModelSource> open_planned_model(const Recipe& recipe) {
  try {
    return open_model_source(recipe.model.path);
  } catch (const Error&) {
    return nullptr;
  }
}

ModelConfig read_planned_config(const Recipe& recipe) {
  const fs::path path = recipe.model.path;
  const fs::path config = path.extension() == ".json" ? path : path / "config.json";
  if (fs::is_regular_file(config)) {
    return read_hf_config(read_json_file(config, ExitCode::kModel), config.string());
  }
  return read_hf_config(*open_model_source(path));
}

}  // namespace longspan
