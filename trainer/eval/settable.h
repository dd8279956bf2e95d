#pragma once

#include <fmt/format.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/fields_schema.h"
#include "src/core/keyed.h"

namespace longspan {

/// What is chosen by its name on the command line, and told more by `--set NAME.KEY=VALUE`: a task
/// or an arm.
class Settable : public Keyed {
 public:
  virtual std::string_view name() const = 0;
  /// None, where one does not say otherwise.
  void fields(FieldsIo& io) override { (void)io; }
};

/// A line of a list of them.
template <class Kind>
struct SettableEntry {
  std::string_view name;
  std::unique_ptr<Kind> (*make)();
};

template <class Kind>
std::vector<std::string> names_in(std::span<const SettableEntry<Kind>> list) {
  std::vector<std::string> names;
  for (const auto& entry : list) names.emplace_back(entry.name);
  return names;
}

/// "passkey.trials=3": each key of each with its default, "rope.scaling" where it has none.
template <class Kind>
std::vector<std::string> keys_in(std::span<const SettableEntry<Kind>> list) {
  std::vector<std::string> keys;
  for (const auto& entry : list) {
    const auto made = entry.make();
    const Json defaults = made->write();
    for (const auto& [key, value] : defaults.items()) {
      keys.push_back(fmt::format("{}.{}={}", entry.name, key, value.dump()));
    }
    FieldsSchema all;
    made->fields(all);
    const Json properties = all.schema().value("properties", Json::object());
    for (const auto& [key, described] : properties.items()) {
      if (!defaults.contains(key)) keys.push_back(fmt::format("{}.{}", entry.name, key));
    }
  }
  return keys;
}

/// nullptr when there is none of that name.
template <class Kind>
std::unique_ptr<Kind> make_from(std::span<const SettableEntry<Kind>> list, std::string_view name) {
  for (const auto& entry : list) {
    if (entry.name == name) return entry.make();
  }
  return nullptr;
}

}  // namespace longspan
