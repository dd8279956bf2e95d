#include "src/core/disk_space.h"

#include <sys/stat.h>

#include "src/core/error.h"
#include "src/core/text.h"

namespace longspan {

namespace fs = std::filesystem;

fs::path existing_folder(const fs::path& folder) {
  fs::path existing = fs::absolute(folder);
  std::error_code unknown;
  while (!fs::is_directory(existing, unknown) && existing.has_relative_path()) {
    existing = existing.parent_path();
  }
  return existing;
}

std::optional<int64_t> free_disk_bytes(const fs::path& folder) {
  std::error_code unknown;
  const fs::space_info space = fs::space(existing_folder(folder), unknown);
  if (unknown) return std::nullopt;
  return static_cast<int64_t>(space.available);
}

bool on_one_disk(const fs::path& a, const fs::path& b) {
  struct stat of_a = {};
  struct stat of_b = {};
  return stat(a.c_str(), &of_a) == 0 && stat(b.c_str(), &of_b) == 0 && of_a.st_dev == of_b.st_dev;
}

void require_disk_space(const fs::path& folder, int64_t bytes) {
  const std::optional<int64_t> free = free_disk_bytes(folder);
  if (free && *free < bytes) {
    fail(ExitCode::kFailure, "{}: needs {} of disk, {} are free; free some or write elsewhere",
         folder.string(), human_bytes(bytes), human_bytes(*free));
  }
}

}  // namespace longspan
