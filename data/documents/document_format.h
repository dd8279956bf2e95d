#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "data/documents/document.h"
#include "data/documents/document_report.h"
#include "data/documents/document_source.h"
#include "data/documents/text_file.h"

namespace longspan {

/// The documents of one open file.
class DocumentReader {
 public:
  virtual ~DocumentReader() = default;
  /// The next one, but for its raw_bytes; nothing at the end. Bad data throws Error(kData) that
  /// begins with its place; what is repaired or passed over is counted in the report.
  virtual std::optional<Document> next() = 0;
};

/// A kind of file: its ending, and how its documents are read. `file` and `report` outlive the
/// reader.
struct DocumentFormat {
  std::string_view ending;
  std::unique_ptr<DocumentReader> (*open)(TextFile& file, const DocumentOptions& options,
                                          DocumentReport& report);
};

/// One function a format, each in a file of its name.
std::unique_ptr<DocumentReader> open_plain_text(TextFile& file, const DocumentOptions& options,
                                                DocumentReport& report);
std::unique_ptr<DocumentReader> open_json_lines(TextFile& file, const DocumentOptions& options,
                                                DocumentReport& report);

/// The format whose ending the name has, in letters of either case and before an ending of
/// compression; nullptr when there is none.
const DocumentFormat* find_document_format(const std::filesystem::path& path);

/// ".txt, .md, .tex or .jsonl, each also with .gz or .zst behind it".
std::string document_endings();

}  // namespace longspan
