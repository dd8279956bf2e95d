#include "data/documents/document_source.h"

#include <charconv>
#include <string_view>

#include "data/documents/byte_stream.h"
#include "src/core/error.h"
#include "src/core/json.h"
#include "src/core/text.h"
#include "src/core/utf8.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

/// Reads a file up to its end, or up to the end of a line.
class Reader {
 public:
  Reader(const fs::path& path, int64_t max_bytes)
      : path_(path.string()), stream_(open_byte_stream(path)), max_bytes_(max_bytes) {}

  std::string rest() {
    std::string text;
    while (fill()) take(text, buffer_.size());
    return text;
  }
  /// Without its line end; nothing after the last.
  std::optional<std::string> line() {
    if (!fill()) return std::nullopt;
    std::string text;
    while (fill()) {
      size_t end = buffer_.find('\n');
      take(text, std::min(end, buffer_.size()));
      if (end == buffer_.npos) continue;
      buffer_.remove_prefix(1);
      break;
    }
    return text;
  }
  int64_t raw_bytes() const { return stream_->raw_bytes(); }

 private:
  bool fill() {
    if (buffer_.empty()) buffer_ = {block_.data(), stream_->read(block_.data(), block_.size())};
    return !buffer_.empty();
  }
  void take(std::string& text, size_t size) {
    if (static_cast<int64_t>(text.size() + size) > max_bytes_) {
      fail(ExitCode::kData,
           "{}: a document is larger than {} once decompressed: a compression bomb, or raise the "
           "limit (prepare --max-document-size) if memory holds it several times",
           path_, human_bytes(max_bytes_));
    }
    text += buffer_.substr(0, size);
    buffer_.remove_prefix(size);
  }

  std::string path_;
  std::unique_ptr<ByteStream> stream_;
  int64_t max_bytes_;
  std::string block_ = std::string(64 << 10, '\0');
  std::string_view buffer_;  // what is left of block_
};

bool is_jsonl(const fs::path& path) {
  fs::path name = path.filename();
  if (name.extension() == ".gz" || name.extension() == ".zst") name = name.stem();
  return name.extension() == ".jsonl";
}

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

std::string record_text(const std::string& line, const std::string& key, const std::string& place) {
  Json record = parse_json(line, place, ExitCode::kData);
  if (!record.is_object()) {
    fail(ExitCode::kData, "{}: the record is no map, expected {{\"{}\": \"...\"}}", place, key);
  }
  auto text = record.find(key);
  if (text == record.end()) {
    std::vector<std::string> keys;
    for (const auto& item : record.items()) keys.push_back(item.key());
    fail(ExitCode::kData,
         "{}: the record has no key '{}' but {}; name the one with the text by "
         "--text-key",
         place, key, keys.empty() ? "none" : join(keys, ", "));
  }
  if (!text->is_string()) fail(ExitCode::kData, "{}: '{}' is no string", place, key);
  return text->get<std::string>();
}

class FileDocuments : public DocumentSource {
 public:
  FileDocuments(std::vector<fs::path> files, const DocumentOptions& options)
      : files_(std::move(files)), options_(options) {}

  std::optional<Document> next() override {
    while (auto document = any()) {
      clean(*document);
      if (document->text.find_first_not_of(" \t\r\n\f\v") == std::string::npos) {
        ++empty_;
        continue;
      }
      document->raw_bytes = raw_bytes_ - reported_;
      reported_ = raw_bytes_;
      return document;
    }
    return std::nullopt;
  }
  int64_t empty_documents() const override { return empty_; }
  int64_t replaced_sequences() const override { return replaced_; }

 private:
  std::optional<Document> any() {
    for (; file_ < files_.size(); ++file_) {
      const std::string path = files_[file_].string();
      if (reader_ == nullptr) open();
      if (!is_jsonl(files_[file_])) {
        Document document{path, reader_->rest(), 0};
        close();
        ++file_;
        return document;
      }
      while (auto line = reader_->line()) {
        ++line_;
        count_raw_bytes();
        if (line_ == 1) drop_byte_order_mark(*line);
        if (line->find_first_not_of(" \t\r") == line->npos) continue;
        std::string place = fmt::format("{}:{}", path, line_);
        repair(*line);
        replaced_ += repair_escapes(*line);
        return Document{place, record_text(*line, options_.text_key, place), 0};
      }
      close();
    }
    return std::nullopt;
  }
  void open() {
    reader_ = std::make_unique<Reader>(files_[file_], options_.max_document_bytes);
    line_ = file_raw_bytes_ = 0;
  }
  void close() {
    count_raw_bytes();
    reader_.reset();
  }
  void count_raw_bytes() {
    raw_bytes_ += reader_->raw_bytes() - file_raw_bytes_;
    file_raw_bytes_ = reader_->raw_bytes();
  }
  static void drop_byte_order_mark(std::string& text) {
    if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  }
  void clean(Document& document) {
    auto& text = document.text;
    if (size_t nul = text.find('\0'); nul != text.npos) {
      fail(ExitCode::kData,
           "{}: byte {} is NUL, so this is no text; give UTF-8 text (convert UTF-16 "
           "with iconv)",
           document.name, nul);
    }
    drop_byte_order_mark(text);
    repair(text);
  }
  void repair(std::string& text) {
    if (valid_utf8_prefix(text) == text.size()) return;
    auto repaired = repair_utf8(text);
    text = std::move(repaired.text);
    replaced_ += repaired.replaced;
  }

  std::vector<fs::path> files_;
  DocumentOptions options_;
  size_t file_ = 0;
  std::unique_ptr<Reader> reader_;  // of files_[file_], when it is open
  int64_t line_ = 0;
  int64_t file_raw_bytes_ = 0, raw_bytes_ = 0, reported_ = 0;
  int64_t empty_ = 0, replaced_ = 0;
};

}  // namespace

std::unique_ptr<DocumentSource> open_documents(std::vector<fs::path> files,
                                               const DocumentOptions& options) {
  return std::make_unique<FileDocuments>(std::move(files), options);
}

}  // namespace longspan
