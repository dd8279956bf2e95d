#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "data/documents/document.h"
#include "data/documents/document_files.h"
#include "data/documents/document_report.h"

namespace longspan {

/// Documents one after another; memory holds one at a time.
class DocumentSource {
 public:
  virtual ~DocumentSource() = default;
  virtual std::optional<Document> next() = 0;
  /// Of the documents so far.
  virtual const DocumentReport& report() const = 0;
};

/// How documents are read, and what is too large to be one.
struct DocumentOptions {
  std::string text_key = "text";  // of a record
  /// A document (a record of a .jsonl) is held whole. What is larger once decompressed is an error,
  /// before it takes more than twice that memory: it is a bomb or was never meant.
  int64_t max_document_bytes = int64_t{1} << 30;
  const char* max_document_option = nullptr;  // of the command line, which raises it
  /// What a .zst may want to look back over, in memory; --long=31 wants 2 GiB, the most there is.
  int64_t max_window_bytes = int64_t{2} << 30;
  bool strict = false;  // a bad record, a bad file and what is no UTF-8 are errors
};

/// The documents of these files in order. A file that is unreadable, truncated, binary (NUL bytes)
/// or in another encoding than UTF-8 throws Error(kData) with its place when it is the only one;
/// among others it is passed over. So is a bad record. Where they leave no document, the first
/// fault is thrown.
std::unique_ptr<DocumentSource> open_documents(DocumentFiles files, const DocumentOptions& options);

}  // namespace longspan
