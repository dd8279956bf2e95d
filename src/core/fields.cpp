#include "src/core/fields.h"

#include <algorithm>
#include <cmath>

#include "src/core/text.h"

namespace longspan {

namespace {
const Json kEmptyMap = Json::object();
}

Fields::Fields(const Json& map, Diagnostics& diagnostics, std::string path)
    : map_(&map), diagnostics_(&diagnostics), path_(std::move(path)) {
  if (map.is_object()) return;
  if (!map.is_null()) wrong_type(map, path_, "a map");
  map_ = &kEmptyMap;
}

std::string Fields::path_of(std::string_view key) const {
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

const Json* Fields::find(std::string_view key) {
  known_.emplace(key);
  auto found = map_->find(std::string(key));
  return found == map_->end() || found->is_null() ? nullptr : &*found;
}

bool Fields::has(std::string_view key) { return find(key) != nullptr; }

void Fields::choice(std::string_view key, std::string& value,
                    const std::vector<std::string>& allowed) {
  if (!has(key)) return;
  std::string given = value;
  optional(key, given);
  if (std::find(allowed.begin(), allowed.end(), given) != allowed.end()) {
    value = given;
  } else {
    error(key, fmt::format("'{}' is not known; expected one of {}", given, join(allowed, ", ")));
  }
}

void Fields::in_range(std::string_view key, int64_t& value, int64_t low, int64_t high) {
  optional(key, value);
  if (value < low || value > high) {
    error(key, fmt::format("{} is out of range; expected {} to {}", value, low, high));
  }
}

void Fields::in_range(std::string_view key, double& value, double low, double high) {
  optional(key, value);
  if (!(value >= low && value <= high)) {
    error(key, fmt::format("{} is out of range; expected {} to {}", value, low, high));
  }
}

Fields Fields::child(std::string_view key) {
  const Json* found = find(key);
  return Fields(found ? *found : kEmptyMap, *diagnostics_, path_of(key));
}

std::vector<Fields> Fields::children(std::string_view key) {
  std::vector<Fields> maps;
  const Json* found = find(key);
  if (found && !found->is_array()) wrong_type(*found, path_of(key), "a list of maps");
  for (size_t i = 0; found && found->is_array() && i < found->size(); ++i) {
    maps.emplace_back((*found)[i], *diagnostics_, fmt::format("{}.{}", path_of(key), i));
  }
  return maps;
}

void Fields::error(std::string_view key, const std::string& message) {
  diagnostics_->error(path_of(key), message);
}

std::vector<std::string> Fields::unknown_keys() const {
  std::vector<std::string> unknown;
  for (const auto& [key, value] : map_->items()) {
    if (!known_.contains(key)) unknown.push_back(key);
  }
  return unknown;
}

void Fields::finish() {
  std::vector<std::string> known(known_.begin(), known_.end());
  for (const auto& key : unknown_keys()) {
    const std::string meant = did_you_mean(key, known);
    error(key, meant.empty() ? fmt::format("unknown key (known: {})", join(known, ", "))
                             : "unknown key" + meant);
  }
}

void Fields::wrong_type(const Json& value, const std::string& path, std::string_view expected) {
  std::string shown = json_line(value);
  if (shown.size() > 40) shown.replace(37, shown.npos, "...");
  diagnostics_->error(path, fmt::format("expected {}, got {}", expected, shown));
}

void Fields::read(const Json& value, const std::string& path, bool& out) {
  if (!value.is_boolean()) return wrong_type(value, path, "true or false");
  out = value.get<bool>();
}

void Fields::read(const Json& value, const std::string& path, int64_t& out) {
  bool too_large = value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{INT64_MAX};
  bool whole = (value.is_number_integer() && !too_large) ||
               (value.is_number_float() && std::floor(value.get<double>()) == value.get<double>() &&
                std::abs(value.get<double>()) < 9e15);
  if (!whole) return wrong_type(value, path, "a whole number");
  out =
      value.is_number_integer() ? value.get<int64_t>() : static_cast<int64_t>(value.get<double>());
}

void Fields::read(const Json& value, const std::string& path, double& out) {
  if (!value.is_number()) return wrong_type(value, path, "a number");
  if (!std::isfinite(value.get<double>())) return wrong_type(value, path, "a finite number");
  out = value.get<double>();
}

void Fields::read(const Json& value, const std::string& path, std::string& out) {
  if (!value.is_string()) return wrong_type(value, path, "a text");
  out = value.get<std::string>();
}

}  // namespace longspan
