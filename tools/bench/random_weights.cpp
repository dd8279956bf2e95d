#include "tools/bench/random_weights.h"

#include <ATen/ops/empty.h>

#include <map>
#include <utility>

#include "recipes/recipe_plan.h"
#include "src/model/apply_lora.h"

namespace longspan {

namespace {

at::Tensor drawn(at::IntArrayRef sizes, double mean, at::ScalarType dtype, at::Device device) {
  return at::empty(sizes, at::TensorOptions(device).dtype(dtype)).normal_(mean, 0.02);
}

}  // namespace

void draw_weights(CausalLm& model, at::ScalarType dtype, at::Device device) {
  model.visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
    parameter = drawn(parameter.sizes(), name.ends_with("norm.weight") ? 1 : 0, dtype, device);
  });
}

std::unique_ptr<CausalLm> draw_recipe_model(const Recipe& recipe, const ModelConfig& config,
                                            at::Device device) {
  const at::ScalarType dtype = dtype_of(recipe);
  const Quantization quantization = quantization_named(recipe.model.quantization).value();
  auto model = make_causal_lm(config);
  std::map<std::pair<int64_t, int64_t>, std::shared_ptr<const QuantizedWeight>> of_shape;
  if (quantization != Quantization::kNone) {
    model->visit_linears([&](const std::string&, std::unique_ptr<Linear>& linear) {
      const std::pair shape(linear->out_features(), linear->in_features());
      auto& made = of_shape[shape];
      if (!made) {
        made =
            quantize_weight(drawn({shape.first, shape.second}, 0, dtype, at::kCPU), quantization);
      }
      linear->quantized = made->to(device);
      linear->weight.reset();
    });
  }
  draw_weights(*model, dtype, device);
  apply_lora(*model, recipe.lora);
  move_to(*model, device);  // the adapter
  return model;
}

}  // namespace longspan
