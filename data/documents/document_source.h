#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace longspan {

struct Document {
  std::string name;       // path of the file, with ":line" behind it for a record of a .jsonl
  std::string text;       // valid UTF-8 (what was not is U+FFFD), without a byte-order mark
  int64_t raw_bytes = 0;  // bytes of input (as stored, compressed or not) consumed since the last
};

/// Documents one after another; memory holds one at a time.
class DocumentSource {
 public:
  virtual ~DocumentSource() = default;
  virtual std::optional<Document> next() = 0;
  /// Documents of white space alone, which next() passes over.
  virtual int64_t empty_documents() const = 0;
  /// Sequences of bytes that were no UTF-8, and escapes "\u0000" or of half a surrogate pair in a
  /// .jsonl, each of which became U+FFFD, over all documents so far.
  virtual int64_t replaced_sequences() const = 0;
};

struct DocumentOptions {
  std::string text_key = "text";  // of a .jsonl record
  /// A document (a record of a .jsonl) is held whole. What is larger once decompressed is an error,
  /// before it takes more than twice that memory: it is a bomb or was never meant.
  int64_t max_document_bytes = int64_t{1} << 30;
};

/// The documents of these files in order. An unreadable, truncated, binary (NUL bytes) or malformed
/// file throws Error(kData) with its place.
std::unique_ptr<DocumentSource> open_documents(std::vector<std::filesystem::path> files,
                                               const DocumentOptions& options);

}  // namespace longspan
