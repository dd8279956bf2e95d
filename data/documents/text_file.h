#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "data/documents/byte_stream.h"
#include "data/documents/document_source.h"

namespace longspan {

/// A file of text, decompressed on the way: all of it, or line by line.
class TextFile {
 public:
  /// Throws Error(kData) when it cannot be read.
  TextFile(const std::filesystem::path& path, const DocumentOptions& options);

  /// What follows, up to the end. More than max_document_bytes throws Error(kData).
  std::string rest();
  /// A line without its end, likewise; nothing after the last.
  std::optional<std::string> line();

  /// The first of what follows, "" at the end.
  std::string_view peek();

  const std::filesystem::path& path() const { return path_; }
  int64_t raw_bytes() const { return stream_->raw_bytes(); }  // see ByteStream

 private:
  bool fill();
  void take(std::string& text, size_t size);

  std::filesystem::path path_;
  std::unique_ptr<ByteStream> stream_;
  int64_t max_bytes_;
  const char* max_option_;
  std::string block_;
  std::string_view buffer_;  // what is left of block_
};

}  // namespace longspan
