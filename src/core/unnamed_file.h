#pragma once

#include <filesystem>

namespace longspan {

/// The descriptor of a new file in `directory`, for reading and writing, that has no name and goes
/// with the last descriptor or mapping of it; or -1 and errno.
int open_unnamed_file(const std::filesystem::path& directory);

}  // namespace longspan
