#pragma once

#include <string_view>

namespace longspan {

/// White_Space of Unicode.
bool is_white_space(char32_t code_point);

/// Where the last code point of `text`, which is not empty, begins.
size_t start_of_last_code_point(std::string_view text);

/// `text` without the white space at its left or right end.
std::string_view without_white_space(std::string_view text, bool left, bool right);

}  // namespace longspan
