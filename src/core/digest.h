#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;  // OpenSSL's EVP_MD_CTX

namespace longspan {

/// A hash of bytes that are fed in parts, by OpenSSL: SHA-256, or the SHA-1 by which git names
/// blobs.
class Digest {
 public:
  enum class Kind { kSha256, kSha1 };

  explicit Digest(Kind kind = Kind::kSha256);
  void update(std::string_view bytes);
  /// The bytes of a file. False where it cannot be read.
  [[nodiscard]] bool update_from(const std::filesystem::path& path);
  /// In lower-case hex; the object is spent then.
  std::string hex();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace longspan
