#include "tools/hub/hub_file.h"

#include "src/core/digest.h"
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
  const bool git = file.digest.size() == 40;
  Digest digest(git ? Digest::Kind::kSha1 : Digest::Kind::kSha256);
  if (git) digest.update(fmt::format("blob {}", file.size) + '\0');
  if (!digest.update_from(path)) {
    fail(ExitCode::kFailure, "{}: cannot be read back", path.string());
  }
  return digest.hex();
}

}  // namespace longspan
