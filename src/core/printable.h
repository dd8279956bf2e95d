#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace longspan {

/// `text` for a terminal, as far as it may hold what a file said: control characters, bytes that
/// are no UTF-8, and characters that hide text or turn its direction are shown as \x1b or \u202e.
/// Line ends and tabs stay; a line of more than 1000 characters is cut in the middle.
std::string printable_message(std::string_view text);

/// The same for one value of a message: line ends and tabs are shown as \n and \t, and what is
/// longer than `longest` characters is cut in the middle.
std::string printable_value(std::string_view value, size_t longest = 200);
inline constexpr size_t kLongestReason = 800;  // of a value that may be a whole message
std::vector<std::string> printable_values(const std::vector<std::string>& values);

}  // namespace longspan
