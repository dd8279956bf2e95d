#include "recipes/override.h"

#include <algorithm>
#include <charconv>

#include "recipes/yaml.h"
#include "src/core/text.h"
#include "src/core/utf8.h"

namespace longspan {

namespace {

Json* entry_of(Json& list, const std::string& index) {
  size_t position = 0;
  auto [end, status] = std::from_chars(index.data(), index.data() + index.size(), position);
  bool whole = status == std::errc() && end == index.data() + index.size();
  return whole && position < list.size() ? &list[position] : nullptr;
}

void apply(const std::string& argument, Json& recipe, Diagnostics& diagnostics) {
  const Mark origin{"command line"};
  size_t equals = argument.find('=');
  std::string path = argument.substr(0, equals);
  auto keys = split(path, '.');
  if (equals == argument.npos || keys.empty() || valid_utf8_prefix(path) < path.size() ||
      std::any_of(keys.begin(), keys.end(), [](const auto& key) { return key.empty(); })) {
    diagnostics.mark(argument, origin);
    return diagnostics.error(argument, "expected key.path=value, such as optimizer.lr=1e-4");
  }

  Json value = read_yaml_override(argument.substr(equals + 1), path, diagnostics);
  Json* place = &recipe;
  std::string so_far;
  for (const auto& key : keys) {
    if (place->is_array()) {
      size_t entries = place->size();
      place = entry_of(*place, key);
      if (!place) {
        return diagnostics.error(path, fmt::format("'{}' is no entry of '{}'; it has {}, counted "
                                                   "from 0",
                                                   key, so_far, entries));
      }
    } else if (place->is_object() || place->is_null()) {
      place = &(*place)[key];
    } else {
      return diagnostics.error(path, fmt::format("'{}' is no map", so_far));
    }
    so_far += (so_far.empty() ? "" : ".") + key;
  }
  *place = std::move(value);
}

}  // namespace

void apply_overrides(const std::vector<std::string>& overrides, Json& recipe,
                     Diagnostics& diagnostics) {
  for (const auto& argument : overrides) apply(argument, recipe, diagnostics);
}

}  // namespace longspan
