#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

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

/// A way to compress a file: its ending, and the command that writes the file decompressed.
struct Compression {
  std::string_view ending, tool;
  std::unique_ptr<ByteStream> (*open)(const std::filesystem::path& path, int64_t max_window_bytes);
};
std::span<const Compression> compressions();
/// By the ending, in letters of either case; nullptr for a file that is not compressed.
const Compression* find_compression(const std::filesystem::path& path);
/// The last ending of a name in lower-case letters: ".jsonl", "" without one.
std::string lower_case_ending(const std::filesystem::path& path);

/// A .gz (RFC 1952: members one after another, zeros behind them) or .zst (frames likewise, that
/// look back over at most `max_window_bytes`) decompressed, any other file as it is.
std::unique_ptr<ByteStream> open_byte_stream(const std::filesystem::path& path,
                                             int64_t max_window_bytes);

}  // namespace longspan
