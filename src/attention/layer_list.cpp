#include "src/attention/layer_list.h"

#include <fmt/format.h>

#include <algorithm>

namespace longspan {

void layers_field(FieldsIo& io, std::string_view key, std::vector<int64_t>& layers,
                  std::string_view meaning, const FieldTraits& traits) {
  const Json schema = {{"type", "array"}, {"items", {{"type", "integer"}, {"minimum", 0}}}};
  io.put(key, layers, schema, meaning, traits);
  Fields* map = io.reading();
  if (!map) return;
  map->optional(key, layers);
  for (const int64_t layer : layers) {
    if (layer < 0) {
      map->error(key, fmt::format("{} is no layer; expected numbers from 0", layer));
    } else if (std::ranges::count(layers, layer) > 1) {
      return map->error(key, fmt::format("{} stands twice", layer));
    }
  }
}

bool has_layer(const std::vector<int64_t>& layers, int64_t layer) {
  return std::ranges::find(layers, layer) != layers.end();
}

std::string misfit_of_layers(std::string_view key, const std::vector<int64_t>& layers,
                             int64_t num_layers) {
  for (const int64_t layer : layers) {
    if (layer < num_layers) continue;
    return fmt::format("{} has {}, and the model's layers are 0 to {}", key, layer, num_layers - 1);
  }
  return {};
}

}  // namespace longspan
