#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace longspan {

/// Where a document lies among the tokens of the store.
struct StoredDocument {
  std::string name;
  int64_t offset = 0;  // of its first token in the store
  int64_t tokens = 0;
};

/// What the store says of itself.
struct TokenStoreInfo {
  int64_t format_version = 0;
  std::string tokenizer_fingerprint;
  int64_t vocab_size = 0;
  int64_t tokens = 0;
  int64_t documents = 0;
  bool all_labels = true;  // no token is read as context alone
};

/// Reads a token store. A file that is none, is damaged, or of a newer version throws Error(kData).
/// Thread-safe.
class TokenStore {
 public:
  explicit TokenStore(const std::filesystem::path& path);
  ~TokenStore();

  const std::string& path() const;
  const TokenStoreInfo& info() const;
  const std::vector<StoredDocument>& documents() const;
  /// `count` ids from token `offset` of the stream on.
  std::vector<int32_t> read(int64_t offset, int64_t count) const;
  /// Whether each of them is a label of the loss (other than 0) or context alone.
  std::vector<uint8_t> read_is_label(int64_t offset, int64_t count) const;

 private:
  void require_inside(int64_t offset, int64_t count) const;

  struct File;
  std::unique_ptr<File> file_;
};

}  // namespace longspan
