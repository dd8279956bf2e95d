#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace longspan {

/// Writes an HDF5 token store (see token_store_layout.h): one int32 stream of whole documents,
/// chunked, shuffled, deflated and checksummed, with offsets and names. Memory does not grow with
/// it. The file appears when commit() is called; a full disk throws Error(kFailure).
class TokenStoreWriter {
 public:
  TokenStoreWriter(std::filesystem::path path, std::string tokenizer_fingerprint,
                   int64_t vocab_size);
  ~TokenStoreWriter();
  /// An id outside [0, vocab_size) throws Error(kData).
  void append(const std::string& document_name, const std::vector<int32_t>& ids);
  void commit();

 private:
  struct File;
  std::unique_ptr<File> file_;
};

}  // namespace longspan
