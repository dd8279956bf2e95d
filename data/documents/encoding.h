#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace longspan {

/// Throws Error(kData), beginning with `place`, when `text` is mostly in another encoding than
/// UTF-8, and names the likely one and the command that converts `file`: of what is not ASCII more
/// is malformed than well-formed (8 sequences, and one in 500 bytes, at least), or it is UTF-16,
/// UTF-32 or ISO-2022.
void require_utf8(std::string_view text, const std::string& place,
                  const std::filesystem::path& file);

/// After require_utf8 drops a byte-order mark and makes each malformed sequence U+FFFD; says how
/// many.
int64_t repair_text(std::string& text, const std::string& place, const std::filesystem::path& file);

/// The encoding that `bytes`, which are no UTF-8, are most likely in, as iconv names it; "" when
/// nothing is likely.
std::string likely_encoding(std::string_view bytes);

}  // namespace longspan
