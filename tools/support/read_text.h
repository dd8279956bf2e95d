#pragma once

#include <filesystem>
#include <string>

namespace longspan {

/// `text` with each sequence that is no UTF-8 as U+FFFD, and a warning that counts them. What is
/// mostly in another encoding throws Error(kData) with the likely one. `place` is a file, or names
/// where the text comes from.
std::string repaired_text(std::string text, const std::string& place);

/// The repaired_text of a file, without a byte-order mark. Throws Error(kData).
std::string read_text(const std::filesystem::path& path);

}  // namespace longspan
