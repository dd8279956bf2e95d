#pragma once

#include <cstdint>
#include <filesystem>

namespace longspan {

/// A file without a name, which the system frees whatever ends the process, for bytes that do not
/// fit in RAM. Each block that is written has a CRC-32C, and is flushed to disk and dropped from
/// the page cache soon after: the cache does not grow by more than two blocks. Not thread-safe.
class SpillFile {
 public:
  static constexpr int64_t kBlockBytes = int64_t{8} << 20;

  /// The file is made by the first write, which throws Error(kFailure) when fewer than
  /// `expected_bytes` are free on the disk of `directory`.
  SpillFile(std::filesystem::path directory, int64_t expected_bytes);
  ~SpillFile();
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;

  /// Writes one block, at most kBlockBytes, and returns its checksum. A full disk or another error
  /// throws Error(kFailure) with the directory, the reason and the bytes free.
  uint32_t write(const void* block, int64_t bytes, int64_t offset);
  /// Reads it again. An error, or bytes of another checksum, throw Error(kFailure).
  void read(void* block, int64_t bytes, int64_t offset, uint32_t checksum);

 private:
  void open();
  void flush_and_drop(int64_t offset, int64_t bytes);
  [[noreturn]] void fail_to_write(int reason, int64_t offset) const;

  const std::filesystem::path directory_;
  const int64_t expected_bytes_;
  int file_ = -1;
  int64_t unflushed_offset_ = 0, unflushed_bytes_ = 0;  // the last block written
};

}  // namespace longspan
