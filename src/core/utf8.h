#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace longspan {

/// Stands for what is not well-formed.
inline constexpr char32_t kReplacementCharacter = 0xFFFD;

/// The code point at `at` (which is moved behind it). What is not well-formed UTF-8 (Unicode 15,
/// table 3-7) gives U+FFFD for each maximal subpart, as Python's errors="replace" does, and sets
/// `malformed`. `at` must be below text.size().
char32_t next_code_point(std::string_view text, size_t& at, bool* malformed = nullptr);

/// `code_point` must be one that UTF-8 can say: no surrogate, and none beyond U+10FFFF.
void append_utf8(std::string& text, char32_t code_point);

/// The bytes from the start on that are well-formed UTF-8; text.size() when all are.
size_t valid_utf8_prefix(std::string_view text);

/// `text` with each malformed sequence replaced by U+FFFD, and how many there were.
struct RepairedText {
  std::string text;
  int64_t replaced = 0;
};
RepairedText repair_utf8(std::string_view text);

}  // namespace longspan
