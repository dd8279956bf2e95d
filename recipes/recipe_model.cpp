#include "recipes/recipe_model.h"

#include "checkpoints/hf/hf_importer.h"
#include "checkpoints/mapped_weights.h"
#include "recipes/recipe_plan.h"
#include "src/model/apply_lora.h"
#include "src/nn/page_allocator.h"

namespace longspan {

RecipeModel open_recipe_model(const Recipe& recipe, const ModelSource& source, at::Device device) {
  const ImportOptions options{
      .dtype = dtype_of(recipe),
      .quantization = quantization_named(recipe.model.quantization).value()};
  RecipeModel opened{import_model(source, options), nullptr};
  apply_lora(*opened.model, recipe.lora);
  move_to(*opened.model, device);
  if (!device.is_cpu()) give_back_freed_pages();
  if (recipe.train.memory.weights == FrozenWeights::kMapped) {
    opened.residency = std::make_shared<MappedWeights>(*opened.model);
  }
  return opened;
}

}  // namespace longspan
