#include "recipes/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <regex>
#include <sstream>

#include "src/core/utf8.h"

namespace longspan {

namespace {

// Aliases may repeat a node; a file of a few lines must not become gigabytes, nor an endless loop.
// Each node's key path is remembered, so a long key must not stand above many of them.
constexpr size_t kMaxBytes = 1 << 20;  // of the file, and of its values with aliases expanded
constexpr int kMaxNodes = 10'000;
constexpr int kMaxDepth = 64;
constexpr size_t kMaxKeyPath = 1000;

// "Core schema", YAML 1.2.2 section 10.3.2; an integer that fits no int64 is no value.
std::optional<Json> plain_scalar(const std::string& text) {
  static const std::regex kInteger("[-+]?[0-9]+"), kOctal("0o[0-7]+"),
      kHexadecimal("0x[0-9a-fA-F]+"),
      kFloat("[-+]?(\\.[0-9]+|[0-9]+(\\.[0-9]*)?)([eE][-+]?[0-9]+)?"),
      kInfinity("[-+]?\\.(inf|Inf|INF)"), kNan("\\.(nan|NaN|NAN)");
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") {
    return Json(nullptr);
  }
  if (text == "true" || text == "True" || text == "TRUE") return Json(true);
  if (text == "false" || text == "False" || text == "FALSE") return Json(false);
  const auto integer = [&](size_t skip, int base) -> std::optional<Json> {
    int64_t value = 0;
    const char* end = text.data() + text.size();
    auto [rest, status] = std::from_chars(text.data() + skip, end, value, base);
    if (status != std::errc() || rest != end) return std::nullopt;
    return Json(value);
  };
  if (text.size() > 400) return Json(text);  // std::regex recurses once a character
  if (std::regex_match(text, kInteger)) return integer(text[0] == '+' ? 1 : 0, 10);
  if (std::regex_match(text, kOctal)) return integer(2, 8);
  if (std::regex_match(text, kHexadecimal)) return integer(2, 16);
  if (std::regex_match(text, kFloat)) {
    double value = 0;
    const char* end = text.data() + text.size();
    auto status = std::from_chars(text.data() + (text[0] == '+'), end, value).ec;
    if (status != std::errc()) return std::nullopt;
    return Json(value);
  }
  if (std::regex_match(text, kInfinity)) {
    return Json((text[0] == '-' ? -1 : 1) * std::numeric_limits<double>::infinity());
  }
  if (std::regex_match(text, kNan)) return Json(std::numeric_limits<double>::quiet_NaN());
  return Json(text);
}

/// Remembers where the last document began.
class DocumentStart : public YAML::EventHandler {
 public:
  YAML::Mark mark;

  void OnDocumentStart(const YAML::Mark& begin) override { mark = begin; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

/// Where more begins behind the first document. Not YAML::LoadAll: it finds documents without end
/// behind "{},".
std::optional<YAML::Mark> second_document(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  DocumentStart start;
  if (parser.HandleNextDocument(start) && parser.HandleNextDocument(start)) return start.mark;
  return std::nullopt;
}

class Reader {
 public:
  /// `origin` stands for every place when it is given, else the lines of `file` do.
  Reader(std::string file, std::optional<Mark> origin, Diagnostics& diagnostics)
      : file_(std::move(file)), origin_(std::move(origin)), diagnostics_(diagnostics) {}

  Json read_document(const std::string& text, const std::string& path) {
    if (text.size() > kMaxBytes) {
      diagnostics_.error(path, "is larger than 1 MiB, which no recipe is");
      return nullptr;
    }
    // yaml-cpp takes a text with NUL for UTF-16 or UTF-32, and makes texts of it that are no UTF-8.
    size_t valid = std::min(valid_utf8_prefix(text), text.find('\0'));
    if (valid < text.size()) {
      diagnostics_.error(path, fmt::format("byte {} is NUL or not UTF-8", valid));
      return nullptr;
    }
    try {
      if (auto second = second_document(text)) {
        diagnostics_.mark(path, place(*second));
        diagnostics_.error(path, "a second YAML document begins here; expected one");
      }
      return read(YAML::Load(text), path, 0);
    } catch (const YAML::Exception& e) {
      diagnostics_.mark(path, place(e.mark));
      const bool tabs = text.starts_with('\t') || text.find("\n\t") != text.npos;
      diagnostics_.error(path, fmt::format("not valid YAML: {}{}", e.msg,
                                           tabs ? "; indent by spaces, not by tabs" : ""));
      return nullptr;
    }
  }

 private:
  Mark place(const YAML::Mark& mark) const {
    if (origin_) return *origin_;
    return mark.is_null() ? Mark{file_} : Mark{file_, mark.line + 1, mark.column + 1};
  }

  Json read(const YAML::Node& node, const std::string& path, int depth) {
    if (node.IsScalar()) bytes_ += node.Tag().size() + node.Scalar().size();
    if (++nodes_ > kMaxNodes || bytes_ > kMaxBytes || depth > kMaxDepth ||
        path.size() > kMaxKeyPath) {
      if (!gave_up_) {
        diagnostics_.error(path.substr(0, kMaxKeyPath), "too large or too deep for a recipe");
      }
      gave_up_ = true;
      return nullptr;
    }
    switch (node.Type()) {
      case YAML::NodeType::Scalar:
        return read_scalar(node, path);
      case YAML::NodeType::Sequence:
        return read_list(node, path, depth);
      case YAML::NodeType::Map:
        return read_map(node, path, depth);
      default:
        return nullptr;
    }
  }

  Json read_scalar(const YAML::Node& node, const std::string& path) {
    const std::string& tag = node.Tag();
    if (tag == "!" || tag == "tag:yaml.org,2002:str") return node.Scalar();  // quoted, or !!str
    if (!tag.empty() && tag != "?") {
      diagnostics_.error(path, fmt::format("the tag '{}' is not supported", tag));
      return nullptr;
    }
    if (auto value = plain_scalar(node.Scalar())) return *value;
    diagnostics_.error(path, fmt::format("the number {} is out of range", node.Scalar()));
    return nullptr;
  }

  Json read_list(const YAML::Node& node, const std::string& path, int depth) {
    Json list = Json::array();
    for (size_t i = 0; i < node.size() && !gave_up_; ++i) {
      std::string item_path = fmt::format("{}.{}", path, i);
      diagnostics_.mark(item_path, place(node[i].Mark()));
      list.push_back(read(node[i], item_path, depth + 1));
    }
    return list;
  }

  Json read_map(const YAML::Node& node, const std::string& path, int depth) {
    Json map = Json::object();
    for (const auto& entry : node) {
      if (gave_up_) break;
      if (!entry.first.IsScalar()) {
        diagnostics_.error(path, "a key is no text");
        continue;
      }
      const std::string& key = entry.first.Scalar();
      std::string key_path = path.empty() ? key : path + "." + key;
      diagnostics_.mark(key_path, place(entry.first.Mark()));
      if (map.contains(key)) {
        diagnostics_.error(key_path, "this key is here twice");
        continue;
      }
      map[key] = read(entry.second, key_path, depth + 1);
    }
    return map;
  }

  std::string file_;
  std::optional<Mark> origin_;
  Diagnostics& diagnostics_;
  int nodes_ = 0;
  size_t bytes_ = 0;
  bool gave_up_ = false;
};

std::string scalar_text(const Json& value) {
  if (!value.is_string()) return value.dump();
  static const std::regex kPlain("[A-Za-z_./][A-Za-z0-9_./-]*");
  const auto& text = value.get_ref<const std::string&>();
  bool plain = text.size() < 400 && std::regex_match(text, kPlain) && plain_scalar(text) == value;
  return plain ? text : value.dump();  // a JSON string is a double-quoted YAML scalar
}

bool is_block(const Json& value) {
  if (value.is_object()) return !value.empty();
  if (!value.is_array()) return false;
  return std::any_of(value.begin(), value.end(), [](const Json& v) { return v.is_structured(); });
}

void write_block(const Json& value, int indent, std::string& out);

// What follows "key:" or "-": a scalar or flow list on the same line, or a block below it.
void write_value(const Json& value, int indent, std::string& out) {
  if (is_block(value)) {
    out += "\n";
    return write_block(value, indent, out);
  }
  if (value.is_array()) {
    std::string items;
    for (const auto& item : value) items += (items.empty() ? "" : ", ") + scalar_text(item);
    out += fmt::format(" [{}]\n", items);
  } else {
    out += fmt::format(" {}\n", scalar_text(value));
  }
}

void write_block(const Json& value, int indent, std::string& out) {
  const std::string margin(indent, ' ');
  if (value.is_object()) {
    for (const auto& [key, entry] : value.items()) {
      out += margin + scalar_text(key) + ":";
      write_value(entry, indent + 2, out);
    }
    return;
  }
  for (const auto& item : value) {
    out += margin + "-";
    if (item.is_object() && !item.empty()) {
      std::string block;
      write_block(item, indent + 2, block);
      out += ' ';
      out.append(block, indent + 2);
    } else {
      write_value(item, indent + 2, out);
    }
  }
}

}  // namespace

Json read_yaml(const std::string& text, const std::string& file, Diagnostics& diagnostics) {
  return Reader(file, std::nullopt, diagnostics).read_document(text, "");
}

Json read_yaml_override(const std::string& value, const std::string& key_path,
                        Diagnostics& diagnostics) {
  Mark origin{"command line"};
  diagnostics.mark(key_path, origin);
  return Reader("", origin, diagnostics).read_document(value, key_path);
}

std::string write_yaml(const Json& value) {
  if (!is_block(value)) return scalar_text(value) + "\n";
  std::string text;
  write_block(value, 0, text);
  return text;
}

}  // namespace longspan
