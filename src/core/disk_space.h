#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace longspan {

/// `folder`, or the nearest one above it that is there.
std::filesystem::path existing_folder(const std::filesystem::path& folder);

/// Free where `folder` is or will be; nothing where the system does not say.
std::optional<int64_t> free_disk_bytes(const std::filesystem::path& folder);

/// Whether two folders, which are there, take their room from one disk.
bool on_one_disk(const std::filesystem::path& a, const std::filesystem::path& b);

/// Throws Error(kFailure) with both figures when the disk that will hold `folder` has fewer than
/// `bytes` free.
void require_disk_space(const std::filesystem::path& folder, int64_t bytes);

}  // namespace longspan
