#include "src/core/json.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "src/core/atomic_file.h"
#include "src/core/printable.h"
#include "src/core/text.h"

namespace longspan {

namespace {

// Destroying or printing a value recurses once a level; a hostile file must not reach the end of
// the stack.
constexpr size_t kDeepestJson = 256;

/// What Python's json module writes and no JSON has, and a JSON number that nobody writes, which
/// stands for it while the parser reads.
struct NotFinite {
  std::string_view word, stand_in;
  double value;
};
constexpr NotFinite kNotFinite[] = {
    {"NaN", "0.0e-901", std::numeric_limits<double>::quiet_NaN()},
    {"Infinity", "0.0e-902", std::numeric_limits<double>::infinity()},
    {"-Infinity", "0.0e-903", -std::numeric_limits<double>::infinity()},
};

/// Builds an ordered value in linear time. nlohmann's own parser looks for each key from the
/// object's first one on, which takes seconds for the vocabulary of a tokenizer.
class TreeBuilder : public nlohmann::json_sax<Json> {
 public:
  TreeBuilder(const std::string& place, ExitCode code) : place_(place), code_(code) {}

  Json take() { return std::move(root_); }
  /// Of the parser that found no JSON.
  const std::string& error() const { return error_; }

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t& token) override {
    for (const auto& number : kNotFinite) {
      if (token == number.stand_in) return put(number.value);
    }
    return put(value);
  }
  bool string(string_t& value) override { return put(std::move(value)); }
  bool binary(binary_t& value) override { return put(std::move(value)); }

  bool start_object(size_t) override { return open(); }
  bool start_array(size_t) override { return open(); }
  bool key(string_t& name) override {
    levels_.back().keys.push_back(std::move(name));
    return true;
  }
  bool end_object() override {
    Level level = close();
    return put(object_of(std::move(level)));
  }
  bool end_array() override {
    Level level = close();
    return put(Json::array_t(std::make_move_iterator(level.values.begin()),
                             std::make_move_iterator(level.values.end())));
  }

  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& e) override {
    error_ = e.what();
    if (size_t name_end = error_.find("] "); error_.starts_with("[json.")) {
      error_.erase(0, name_end + 2);
    }
    return false;
  }

 private:
  struct Level {
    std::vector<std::string> keys;  // of an object
    std::vector<Json> values;
  };

  template <class Value>
  bool put(Value&& value) {
    if (levels_.empty()) {
      root_ = std::forward<Value>(value);
    } else {
      levels_.back().values.emplace_back(std::forward<Value>(value));
    }
    return true;
  }

  bool open() {
    if (levels_.size() >= kDeepestJson) {
      fail(code_, "{}: JSON nests deeper than {} levels; the file is damaged or hostile", place_,
           kDeepestJson);
    }
    levels_.emplace_back();
    return true;
  }

  Level close() {
    Level level = std::move(levels_.back());
    levels_.pop_back();
    return level;
  }

  /// A key that comes again keeps its place and takes the later value, as in Python.
  static Json object_of(Level level) {
    Json object = Json::object();
    auto& members = static_cast<Json::object_t::Container&>(object.get_ref<Json::object_t&>());
    members.reserve(level.keys.size());
    std::unordered_map<std::string_view, size_t> index;
    index.reserve(level.keys.size());
    for (size_t i = 0; i < level.keys.size(); ++i) {
      auto [found, added] = index.try_emplace(level.keys[i], members.size());
      if (added) {
        members.emplace_back(level.keys[i], std::move(level.values[i]));
      } else {
        members[found->second].second = std::move(level.values[i]);
      }
    }
    return object;
  }

  const std::string& place_;
  ExitCode code_;
  Json root_;
  std::string error_;
  std::vector<Level> levels_;
};

/// Behind the string that begins at `begin`.
size_t end_of_string(std::string_view text, size_t begin) {
  for (size_t at = begin + 1; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (text[at] == '"') {
      return at + 1;
    }
  }
  return text.size();
}

/// The stand-in of a word that Python's json module reads as no finite number, 1e999 too; "" for
/// any other.
std::string_view stand_in(std::string_view word) {
  for (const auto& number : kNotFinite) {
    if (word == number.word) return number.stand_in;
  }
  if (word.find_first_not_of("+-.0123456789eE") != word.npos) return "";
  const double value = std::strtod(std::string(word).c_str(), nullptr);
  return std::isinf(value) ? stand_in(value > 0 ? "Infinity" : "-Infinity") : "";
}

/// `text` with stand-ins.
std::string without_not_finite(std::string_view text) {
  std::string json;
  for (size_t at = 0, end = 0; at < text.size(); at = end) {
    if (text[at] == '"') {
      end = end_of_string(text, at);
      json += text.substr(at, end - at);
      continue;
    }
    end = at;
    while (end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) != 0 ||
                                 std::string_view("+-.").find(text[end]) != text.npos)) {
      ++end;
    }
    end = std::max(end, at + 1);
    const std::string_view word = text.substr(at, end - at), number = stand_in(word);
    json += number.empty() ? word : number;
  }
  return json;
}

}  // namespace

Json parse_json(std::string_view text, const std::string& place, ExitCode code) {
  TreeBuilder strict(place, code), lenient(place, code);
  if (Json::sax_parse(text.begin(), text.end(), &strict)) return strict.take();
  const std::string json = without_not_finite(text);
  if (Json::sax_parse(json.begin(), json.end(), &lenient)) return lenient.take();
  constexpr size_t kLongest = 300;
  fail(code, "{}: not valid JSON: {}", place, printable_value(strict.error(), kLongest));
}

Json read_json_file(const std::filesystem::path& path, ExitCode code) {
  return parse_json(read_file(path, code), path.string(), code);
}

std::string json_text(const Json& value) {
  return value.dump(2, ' ', false, Json::error_handler_t::replace);
}

std::string json_line(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void write_json_file(const std::filesystem::path& path, const Json& value) {
  write_file(path, json_text(value) + "\n");
}

}  // namespace longspan
