#include "data/documents/document_source.h"

#include <algorithm>

#include "data/documents/document_format.h"
#include "data/documents/text_file.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

bool is_blank(const Document& document) {
  return std::all_of(document.parts.begin(), document.parts.end(), [](const DocumentPart& part) {
    return part.text.find_first_not_of(" \t\r\n\f\v") == part.text.npos;
  });
}

class FileDocuments : public DocumentSource {
 public:
  FileDocuments(DocumentFiles files, const DocumentOptions& options)
      : files_(std::move(files.paths)), options_(options) {
    report_.unclaimed_files = std::move(files.unclaimed);
    report_.unreachable_files = std::move(files.unreachable);
  }

  std::optional<Document> next() override {
    while (auto document = any()) {
      if (is_blank(*document)) {
        ++report_.empty_documents;
        continue;
      }
      document->raw_bytes = raw_bytes_ - reported_;
      reported_ = raw_bytes_;
      ++documents_;
      return document;
    }
    require_documents();
    return std::nullopt;
  }
  const DocumentReport& report() const override { return report_; }

 private:
  std::optional<Document> any() {
    for (; file_ < files_.size(); ++file_) {
      try {
        if (auto document = of_file(files_[file_])) return document;
      } catch (const Error& e) {
        if (options_.strict || files_.size() == 1) throw;
        report_.bad_files.add(e.what());
      }
      close();
    }
    return std::nullopt;
  }
  std::optional<Document> of_file(const fs::path& path) {
    if (reader_ == nullptr) open(path);
    auto document = reader_->next();
    count_raw_bytes();
    const int64_t replaced = report_.replaced_sequences - replaced_before_;
    if (replaced > 0 && options_.strict) {
      fail(ExitCode::kData, "{}: {} sequences are no UTF-8, \\u0000 or half a surrogate pair",
           document ? document->name : path.string(), human_count(replaced));
    }
    return document;
  }
  void open(const fs::path& path) {
    const DocumentFormat* format = find_document_format(path);
    if (format == nullptr) {
      fail(ExitCode::kData, "{}: has an ending that is not known, expected {}", path.string(),
           document_endings());
    }
    file_raw_bytes_ = 0;
    replaced_before_ = report_.replaced_sequences;
    text_file_ = std::make_unique<TextFile>(path, options_);
    reader_ = format->open(*text_file_, options_, report_);
  }
  void close() {
    if (text_file_ != nullptr) count_raw_bytes();
    const int64_t replaced = report_.replaced_sequences - replaced_before_;
    if (reader_ != nullptr && replaced > 0) {
      report_.repaired_files.add(
          fmt::format("{} ({})", files_[file_].string(), human_count(replaced)));
    }
    reader_.reset();
    text_file_.reset();
  }
  void count_raw_bytes() {
    raw_bytes_ += text_file_->raw_bytes() - file_raw_bytes_;
    file_raw_bytes_ = text_file_->raw_bytes();
  }
  void require_documents() const {
    if (documents_ > 0) return;
    for (const Notices* faults : {&report_.bad_files, &report_.bad_records}) {
      if (faults->count() > 0) throw Error(ExitCode::kData, faults->first().front());
    }
  }

  std::vector<fs::path> files_;
  DocumentOptions options_;
  DocumentReport report_;
  size_t file_ = 0;
  std::unique_ptr<TextFile> text_file_;     // of files_[file_], when it is open
  std::unique_ptr<DocumentReader> reader_;  // of text_file_
  int64_t documents_ = 0;
  int64_t replaced_before_ = 0;  // files_[file_]
  int64_t file_raw_bytes_ = 0, raw_bytes_ = 0, reported_ = 0;
};

}  // namespace

std::unique_ptr<DocumentSource> open_documents(DocumentFiles files,
                                               const DocumentOptions& options) {
  return std::make_unique<FileDocuments>(std::move(files), options);
}

}  // namespace longspan
