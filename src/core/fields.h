#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/diagnostics.h"
#include "src/core/json.h"

namespace longspan {

/// Reads a map of a recipe or of a config.json into a struct. Every problem goes to Diagnostics
/// and reading goes on, so that all are reported at once. finish() makes each key that nobody
/// asked for an error that names the nearest known key.
class Fields {
 public:
  /// `map` must outlive the Fields; `path` is its dotted key path, "" at the root. Anything but a
  /// map (or null, which counts as an empty one) is an error.
  Fields(const Json& map, Diagnostics& diagnostics, std::string path = "");

  /// Whether the key is there with a value other than null.
  bool has(std::string_view key);

  /// Sets `value` when the key is there; a wrong type is an error and leaves `value` alone.
  /// T: bool, int64_t, double, std::string, std::vector of these, or Json (anything).
  template <class T>
  void optional(std::string_view key, T& value) {
    if (const Json* found = find(key)) read(*found, path_of(key), value);
  }
  template <class T>
  void required(std::string_view key, T& value) {
    if (const Json* found = find(key)) {
      read(*found, path_of(key), value);
    } else {
      error(key, "is missing");
    }
  }
  /// A string that must be one of `allowed`; the error lists them.
  void choice(std::string_view key, std::string& value, const std::vector<std::string>& allowed);
  /// A number within [low, high].
  void in_range(std::string_view key, int64_t& value, int64_t low, int64_t high);
  void in_range(std::string_view key, double& value, double low, double high);

  /// The map under `key` (empty when it is not there), and the maps of a list.
  Fields child(std::string_view key);
  std::vector<Fields> children(std::string_view key);

  void error(std::string_view key, const std::string& message);
  /// The keys of the map that nobody asked for.
  std::vector<std::string> unknown_keys() const;
  void finish();

 private:
  const Json* find(std::string_view key);
  std::string path_of(std::string_view key) const;

  void read(const Json& value, const std::string& path, bool& out);
  void read(const Json& value, const std::string& path, int64_t& out);
  void read(const Json& value, const std::string& path, double& out);
  void read(const Json& value, const std::string& path, std::string& out);
  void read(const Json& value, const std::string& path, Json& out) {
    (void)path;
    out = value;
  }
  template <class T>
  void read(const Json& value, const std::string& path, std::vector<T>& out) {
    if (!value.is_array()) return wrong_type(value, path, "a list in brackets");
    out.clear();
    for (size_t i = 0; i < value.size(); ++i) {
      T item{};
      read(value[i], path + "." + std::to_string(i), item);
      out.push_back(std::move(item));
    }
  }
  void wrong_type(const Json& value, const std::string& path, std::string_view expected);

  const Json* map_;
  Diagnostics* diagnostics_;
  std::string path_;
  std::set<std::string> known_;
};

}  // namespace longspan
