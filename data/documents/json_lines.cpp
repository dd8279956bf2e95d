#include <charconv>
#include <cmath>

#include "data/documents/document_format.h"
#include "data/documents/encoding.h"
#include "src/core/error.h"
#include "src/core/json.h"
#include "src/core/printable.h"
#include "src/core/text.h"
#include "src/core/utf8.h"

namespace longspan {

namespace {

/// Turns escapes of what no text may hold into \ufffd, and says how many: \u0000, which stands in
/// what was extracted from PDFs, and half of a surrogate pair, which is left where a text was cut.
int64_t repair_escapes(std::string& json) {
  auto unit = [&](size_t at) {  // of an escape \u and four digits; 1: none
    uint16_t value = 1;
    if (at + 6 > json.size() || json.compare(at, 2, "\\u") != 0) return value;
    const char* end = &json[at] + 6;
    uint16_t parsed = 0;
    if (std::from_chars(end - 4, end, parsed, 16).ptr == end) value = parsed;
    return value;
  };
  auto high = [](uint16_t value) { return value >> 10 == 0xD800 >> 10; };
  auto low = [](uint16_t value) { return value >> 10 == 0xDC00 >> 10; };
  int64_t replaced = 0;
  for (size_t at = 0; (at = json.find('\\', at)) != json.npos; at += 2) {
    const uint16_t value = unit(at);
    if (high(value) && low(unit(at + 6))) {
      at += 6;
    } else if (value == 0 || high(value) || low(value)) {
      json.replace(at + 2, 4, "fffd");
      ++replaced;
    }
  }
  return replaced;
}

/// Whether Python's None or the NaN of pandas stands where a text is missing.
bool is_missing(const Json& text) {
  return text.is_null() || (text.is_number_float() && std::isnan(text.get<double>()));
}

/// The text under `key`, empty where it is missing.
std::string record_text(const std::string& line, const std::string& key, const std::string& place) {
  Json record = parse_json(line, place, ExitCode::kData);
  if (!record.is_object()) {
    fail(ExitCode::kData, "{}: the record is no map, expected {{\"{}\": \"...\"}}", place, key);
  }
  auto text = record.find(key);
  if (text == record.end()) {
    std::vector<std::string> keys;
    for (const auto& item : record.items()) keys.push_back(printable_value(item.key()));
    fail(ExitCode::kData, "{}: the record has no key '{}' but {}; --text-key names another", place,
         key, keys.empty() ? "none" : join(keys, ", "));
  }
  if (is_missing(*text)) return "";
  if (!text->is_string()) fail(ExitCode::kData, "{}: '{}' is no string", place, key);
  return text->get<std::string>();
}

/// Whether at least every second line is not in UTF-8, or has a NUL: then it is the file that is
/// bad, and not its records.
bool is_bad_throughout(std::string_view lines) {
  int64_t count = 0, bad = 0;
  for (const auto& line : split(lines, '\n')) {
    ++count;
    bad += valid_utf8_prefix(line) < line.size() || line.find('\0') != line.npos;
  }
  return 2 * bad >= count;
}

/// A line is a document, and a bad one leaves the others good.
class JsonLines : public DocumentReader {
 public:
  JsonLines(TextFile& file, const DocumentOptions& options, DocumentReport& report)
      : file_(file), options_(options), report_(report) {
    const std::string_view beginning = file.peek();
    if (is_bad_throughout(beginning)) require_utf8(beginning, file.path().string(), file.path());
  }

  std::optional<Document> next() override {
    while (auto line = file_.line()) {
      ++line_;
      if (line->find_first_not_of(" \t\r") == line->npos) continue;
      try {
        return record(*line);
      } catch (const Error& e) {
        if (options_.strict) throw;
        report_.bad_records.add(e.what());
      }
    }
    return std::nullopt;
  }

 private:
  Document record(std::string& line) {
    const std::string place = fmt::format("{}:{}", file_.path().string(), line_);
    int64_t replaced = repair_text(line, place, file_.path());
    replaced += repair_escapes(line);
    Document document{place, {{record_text(line, options_.text_key, place)}}};
    report_.replaced_sequences += replaced;
    return document;
  }

  TextFile& file_;
  const DocumentOptions& options_;
  DocumentReport& report_;
  int64_t line_ = 0;
};

}  // namespace

std::unique_ptr<DocumentReader> open_json_lines(TextFile& file, const DocumentOptions& options,
                                                DocumentReport& report) {
  return std::make_unique<JsonLines>(file, options, report);
}

}  // namespace longspan
