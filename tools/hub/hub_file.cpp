#include "tools/hub/hub_file.h"

#include <openssl/evp.h>

#include <fstream>
#include <memory>

#include "src/core/text.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

/// A file's name leads nowhere but into the snapshot.
bool is_inside(const std::string& name) {
  if (name.empty() || name.size() > 1024 || name.find('\\') != name.npos) return false;
  for (const auto& part : split(name, '/')) {
    if (part.empty() || part == "." || part == ".." || part.find('\0') != part.npos) return false;
  }
  return true;
}

}  // namespace

bool is_hex(const std::string& text, size_t size) {
  return text.size() == size && text.find_first_not_of("0123456789abcdef") == text.npos;
}

HubFile read_hub_file(const Json& entry, const std::string& place) {
  auto text = [](const Json& map, const char* key) {
    Json value = map.is_object() ? map.value(key, Json()) : Json();
    return value.is_string() ? value.get<std::string>() : "";
  };
  HubFile file{text(entry, "rfilename"), -1, text(entry, "blobId")};
  Json lfs = entry.is_object() ? entry.value("lfs", Json()) : Json();
  if (lfs.is_object()) file.digest = text(lfs, "sha256");
  Json size = entry.is_object() ? entry.value("size", Json()) : Json();
  if (size.is_number_unsigned()) file.size = size.get<int64_t>();
  bool whole =
      is_inside(file.name) && file.size >= 0 && is_hex(file.digest, lfs.is_object() ? 64 : 40);
  if (!whole) {
    fail(ExitCode::kFailure, "{}: the server describes a file in an unknown way: {}", place,
         entry.dump().substr(0, 300));
  }
  return file;
}

/// SHA-256 of the content, or git's SHA-1 of "blob SIZE\0" and the content.
std::string digest_of(const fs::path& path, const HubFile& file) {
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context(EVP_MD_CTX_new());
  bool git = file.digest.size() == 40;
  std::string header = fmt::format("blob {}", file.size) + '\0';
  bool good = context && EVP_DigestInit_ex(context.get(), git ? EVP_sha1() : EVP_sha256(), nullptr);
  if (git) good = good && EVP_DigestUpdate(context.get(), header.data(), header.size());
  std::ifstream stream(path, std::ios::binary);
  std::string buffer(1 << 20, '\0');
  while (good && stream) {
    stream.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    good = EVP_DigestUpdate(context.get(), buffer.data(), static_cast<size_t>(stream.gcount()));
  }
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (!good || stream.bad() || !EVP_DigestFinal_ex(context.get(), bytes, &size)) {
    fail(ExitCode::kFailure, "{}: cannot be read back", path.string());
  }
  std::string hex;
  for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", bytes[i]);
  return hex;
}

}  // namespace longspan
