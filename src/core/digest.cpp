#include "src/core/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <fstream>
#include <stdexcept>

namespace longspan {

namespace {

/// OpenSSL refuses where memory is short, or its configuration forbids the hash.
void require(int succeeded) {
  if (succeeded != 1) throw std::runtime_error("OpenSSL cannot compute a digest");
}

}  // namespace

void Digest::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Digest::Digest(Kind kind) : context_(EVP_MD_CTX_new()) {
  require(context_ != nullptr &&
          EVP_DigestInit_ex(context_.get(), kind == Kind::kSha1 ? EVP_sha1() : EVP_sha256(),
                            nullptr) == 1);
}

void Digest::update(std::string_view bytes) {
  require(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()));
}

bool Digest::update_from(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::string buffer(1 << 20, '\0');
  while (stream) {
    stream.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    update(std::string_view(buffer).substr(0, static_cast<size_t>(stream.gcount())));
  }
  return stream.is_open() && !stream.bad();
}

std::string Digest::hex() {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  require(EVP_DigestFinal_ex(context_.get(), bytes, &size));
  return fmt::format("{:02x}", fmt::join(bytes, bytes + size, ""));
}

}  // namespace longspan
