#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace longspan {

/// GPT-2's printable names of the 256 bytes: '!'..'~', U+00A1..U+00AC and U+00AE..U+00FF stand for
/// themselves, the other 68 bytes in order are U+0100.. (so a space is U+0120).
std::string byte_level_name(uint8_t byte);

/// The names of all its bytes, one behind the other.
std::string byte_level_names(std::string_view bytes);

/// The bytes that a token of a byte-level vocabulary stands for; nothing when one of its letters is
/// no such name.
std::optional<std::string> byte_level_bytes(std::string_view token);

}  // namespace longspan
