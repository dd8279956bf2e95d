#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>

namespace longspan {

/// The bytes of a file, decompressed on the way.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  /// Fills at most `size` bytes; 0 at the end. A file that is damaged or ends early throws
  /// Error(kData) naming it.
  virtual size_t read(char* bytes, size_t size) = 0;
  /// Bytes of the file, as stored, read so far.
  virtual int64_t raw_bytes() const = 0;
};

/// By the ending: .gz (RFC 1952, members one after another), .zst (frames likewise), else as it is.
std::unique_ptr<ByteStream> open_byte_stream(const std::filesystem::path& path);

}  // namespace longspan
