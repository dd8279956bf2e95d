#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "src/core/json.h"

namespace longspan {

/// One file of a model repository at one commit.
struct HubFile {
  std::string name;    // relative, such as "model.safetensors"
  int64_t size = 0;    // bytes
  std::string digest;  // in hex: SHA-256 of a file in LFS, else the SHA-1 that git gives the blob
};

/// Reads an entry of "siblings" of the hub's answer. Throws Error(kFailure), which begins with
/// `place`, for a name that leads out of the snapshot, and where size or digest are not as
/// expected.
HubFile read_hub_file(const Json& entry, const std::string& place);

/// The digest of the content of `path`, of the kind that the hub states for `file`. Throws
/// Error(kFailure) where it cannot be read.
std::string digest_of(const std::filesystem::path& path, const HubFile& file);

/// Lower-case hex digits, so many of them.
bool is_hex(const std::string& text, size_t size);

}  // namespace longspan
