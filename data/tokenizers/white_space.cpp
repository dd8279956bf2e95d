#include "data/tokenizers/white_space.h"

#include "src/core/utf8.h"

namespace longspan {

bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

size_t start_of_last_code_point(std::string_view text) {
  size_t start = text.size() - 1;
  while (start > 0 && (text[start] & 0xC0) == 0x80) --start;
  return start;
}

std::string_view without_white_space(std::string_view text, bool left, bool right) {
  while (left && !text.empty()) {
    size_t end = 0;
    if (!is_white_space(next_code_point(text, end))) break;
    text.remove_prefix(end);
  }
  while (right && !text.empty()) {
    size_t start = start_of_last_code_point(text), at = start;
    if (!is_white_space(next_code_point(text, at))) break;
    text.remove_suffix(text.size() - start);
  }
  return text;
}

}  // namespace longspan
