#include "src/core/json.h"

#include <iterator>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "src/core/atomic_file.h"
#include "src/core/text.h"
#include "src/core/utf8.h"

namespace longspan {

namespace {

// Destroying or printing a value recurses once a level; a hostile file must not reach the end of
// the stack.
constexpr size_t kDeepestJson = 256;

/// Without the parser's own number, and cut: it repeats what was last read, which may be a record.
std::string reason_of(const nlohmann::detail::exception& e) {
  constexpr size_t kLongest = 200;
  std::string reason = e.what();
  if (size_t number = reason.find("] "); number != reason.npos) reason.erase(0, number + 2);
  if (reason.size() <= kLongest) return reason;
  reason.resize(kLongest);
  reason.resize(valid_utf8_prefix(reason));
  return reason + "...";
}

/// Builds an ordered value in linear time. nlohmann's own parser looks for each key from the
/// object's first one on, which takes seconds for the vocabulary of a tokenizer.
class TreeBuilder : public nlohmann::json_sax<Json> {
 public:
  TreeBuilder(const std::string& place, ExitCode code) : place_(place), code_(code) {}

  Json take() { return std::move(root_); }

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t&) override { return put(value); }
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
    fail(code_, "{}: not valid JSON: {}", place_, reason_of(e));
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
  std::vector<Level> levels_;
};

}  // namespace

Json parse_json(std::string_view text, const std::string& place, ExitCode code) {
  TreeBuilder builder(place, code);
  Json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

Json read_json_file(const std::filesystem::path& path, ExitCode code) {
  return parse_json(read_file(path, code), path.string(), code);
}

std::string json_text(const Json& value) {
  return value.dump(2, ' ', false, Json::error_handler_t::replace);
}

void write_json_file(const std::filesystem::path& path, const Json& value) {
  write_file(path, json_text(value) + "\n");
}

}  // namespace longspan
