#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "src/core/part_file.h"

namespace longspan {

/// Writes an HDF5 token store (see token_store_layout.h): one int32 stream of whole documents,
/// chunked, shuffled, deflated and checksummed, with offsets and names. Memory does not grow with
/// it. The file appears when commit() is called; a full disk throws Error(kFailure).
class TokenStoreWriter {
 public:
  TokenStoreWriter(PartFile file, const std::string& tokenizer_fingerprint, int64_t vocab_size);
  /// Claims `path` (see PartFile).
  TokenStoreWriter(std::filesystem::path path, const std::string& tokenizer_fingerprint,
                   int64_t vocab_size);
  ~TokenStoreWriter();
  /// `is_label`: 1 or 0 a token; empty when each is a label. An id outside [0, vocab_size) throws
  /// Error(kData).
  void append(const std::string& document_name, const std::vector<int32_t>& ids,
              const std::vector<uint8_t>& is_label = {});
  void commit();

 private:
  struct File;
  std::unique_ptr<File> file_;
};

}  // namespace longspan
