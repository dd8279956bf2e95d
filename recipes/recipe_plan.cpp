#include "recipes/recipe_plan.h"

#include "checkpoints/model_source.h"
#include "src/core/process_memory.h"
#include "src/core/text.h"

namespace longspan {

namespace fs = std::filesystem;

RunShape run_shape(const Recipe& recipe, const ModelConfig& config) {
  return run_shape(config, recipe.lora,
                   recipe.model.dtype == "float32" ? at::kFloat : at::kBFloat16,
                   *quantization_named(recipe.model.quantization), recipe.train.loss_chunk_tokens,
                   recipe.train.threads);
}

fs::path offload_directory(const Recipe& recipe) {
  const std::string& given = recipe.train.memory.offload_dir;
  return given.empty() ? recipe.output_dir : given;
}

Machine this_machine(const Recipe& recipe, const KernelRates& rates) {
  fs::path folder = fs::absolute(offload_directory(recipe));
  std::error_code error;
  while (!fs::exists(folder, error) && folder.has_relative_path()) folder = folder.parent_path();
  const fs::space_info space = fs::space(folder, error);
  return {.rates = rates,
          .available_bytes = available_memory_bytes(),
          .available_disk_bytes = error ? 0 : static_cast<int64_t>(space.available)};
}

ModelConfig read_planned_config(const Recipe& recipe) {
  const fs::path path = recipe.model.path;
  const fs::path config = path.extension() == ".json" ? path : path / "config.json";
  if (fs::is_regular_file(config)) {
    return read_hf_config(read_json_file(config, ExitCode::kModel), config.string());
  }
  return read_hf_config(open_model_source(path)->config_json(), path.string());
}

}  // namespace longspan
