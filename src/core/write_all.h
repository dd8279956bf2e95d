#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>

namespace longspan {

/// Writes all bytes to the file descriptor and adds them to `size`, what the file holds. An error
/// throws Error(kFailure) with `place`, the size so far, the reason and `next_step`.
void write_all(int file, const void* bytes, size_t count, int64_t& size,
               const std::filesystem::path& place, std::string_view next_step);

}  // namespace longspan
