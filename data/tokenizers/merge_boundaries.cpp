#include "data/tokenizers/merge_boundaries.h"

#include "src/core/utf8.h"

namespace longspan {

/// The kind of the character at `at`, which is moved behind it.
uint8_t MergeBoundaries::take(std::string_view text, size_t& at) {
  auto byte = static_cast<unsigned char>(text[at]);
  if (byte < 0x80) {
    ++at;
    return byte;
  }
  return next_code_point(text, at) == U'\u2581' ? kBlank : kOther;
}

void MergeBoundaries::add(std::string_view token) {
  if (token.empty()) return;
  size_t at = 0;
  uint8_t left = take(token, at);
  while (at < token.size()) {
    uint8_t right = take(token, at);
    joined_[left][right] = true;
    left = right;
  }
}

size_t MergeBoundaries::next(std::string_view text) const {
  size_t at = 0;
  uint8_t left = take(text, at);
  while (at < text.size()) {
    size_t boundary = at;
    uint8_t right = take(text, at);
    if (!joined_[left][right]) return boundary;
    left = right;
  }
  return at;
}

}  // namespace longspan
