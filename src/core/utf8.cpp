#include "src/core/utf8.h"

#include <cstring>

namespace longspan {

char32_t next_code_point(std::string_view text, size_t& at, bool* malformed) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char first = byte(at++);
  if (first < 0x80) return first;
  // How many bytes follow, and the narrower range of the first of them.
  int following = 0;
  unsigned char low = 0x80, high = 0xBF;
  if (first >= 0xC2 && first <= 0xDF) {
    following = 1;
  } else if (first >= 0xE0 && first <= 0xEF) {
    following = 2;
    if (first == 0xE0) low = 0xA0;
    if (first == 0xED) high = 0x9F;  // no surrogates
  } else if (first >= 0xF0 && first <= 0xF4) {
    following = 3;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F;
  }
  char32_t code_point = first & (0x3F >> following);
  int left = following;
  while (left > 0 && at < text.size() && byte(at) >= low && byte(at) <= high) {
    code_point = code_point << 6 | (byte(at++) & 0x3F);
    low = 0x80;
    high = 0xBF;
    --left;
  }
  if (following > 0 && left == 0) return code_point;
  if (malformed != nullptr) *malformed = true;
  return kReplacementCharacter;
}

void append_utf8(std::string& text, char32_t c) {
  auto byte = [&](char32_t value) { text += static_cast<char>(value); };
  auto tail = [&](int shift) { byte(0x80 | (c >> shift & 0x3F)); };
  if (c < 0x80) {
    byte(c);
  } else if (c < 0x800) {
    byte(0xC0 | c >> 6), tail(0);
  } else if (c < 0x10000) {
    byte(0xE0 | c >> 12), tail(6), tail(0);
  } else {
    byte(0xF0 | c >> 18), tail(12), tail(6), tail(0);
  }
}

size_t valid_utf8_prefix(std::string_view text) {
  constexpr uint64_t kNotAscii = 0x8080808080808080;
  size_t at = 0;
  while (at < text.size()) {
    uint64_t eight = 0;
    if (at + 8 <= text.size() && (std::memcpy(&eight, &text[at], 8), (eight & kNotAscii) == 0)) {
      at += 8;
      continue;
    }
    size_t start = at;
    bool malformed = false;
    next_code_point(text, at, &malformed);
    if (malformed) return start;
  }
  return at;
}

RepairedText repair_utf8(std::string_view text) {
  RepairedText repaired;
  repaired.text.reserve(text.size());
  while (!text.empty()) {
    size_t valid = valid_utf8_prefix(text);
    repaired.text += text.substr(0, valid);
    text.remove_prefix(valid);
    if (text.empty()) break;
    size_t skipped = 0;
    append_utf8(repaired.text, next_code_point(text, skipped));
    text.remove_prefix(skipped);
    ++repaired.replaced;
  }
  return repaired;
}

}  // namespace longspan
