#include "src/core/printable.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <utility>

#include "src/core/utf8.h"

namespace longspan {

namespace {

constexpr size_t kLongestLine = 1000;

/// Characters that move the cursor, cannot be seen or turn the direction of others (Unicode 15):
/// controls, format characters, the ends of lines and paragraphs, tags, private use.
bool steers_a_terminal(char32_t c) {
  constexpr std::pair<char32_t, char32_t> kRanges[] = {
      {0x00, 0x1F},       {0x7F, 0x9F},       {0xAD, 0xAD},       {0x61C, 0x61C},
      {0x180E, 0x180E},   {0x200B, 0x200F},   {0x2028, 0x202E},   {0x2060, 0x206F},
      {0xE000, 0xF8FF},   {0xFEFF, 0xFEFF},   {0xFFF0, 0xFFFB},   {0xFFFE, 0xFFFF},
      {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0x10FFFF}};
  for (auto [first, last] : kRanges) {
    if (c >= first && c <= last) return true;
  }
  return false;
}

/// One character, or one malformed sequence, as it is shown.
std::string escaped(std::string_view bytes, char32_t c, bool malformed) {
  if (malformed) {
    std::string text;
    for (char byte : bytes) text += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    return text;
  }
  if (!steers_a_terminal(c)) return std::string(bytes);
  if (c == '\n') return "\\n";
  if (c == '\t') return "\\t";
  const auto number = static_cast<uint32_t>(c);
  if (c < 0x80) return fmt::format("\\x{:02x}", number);
  return c < 0x10000 ? fmt::format("\\u{:04x}", number) : fmt::format("\\U{:08x}", number);
}

size_t count_characters(std::string_view text) {
  size_t count = 0;
  for (size_t at = 0; at < text.size(); ++count) next_code_point(text, at);
  return count;
}

/// `text`, one line. Of more than `longest` characters those in the middle are left out.
std::string printable_line(std::string_view text, size_t longest, bool keep_tabs) {
  const size_t count = count_characters(text);
  const size_t left_out = count > longest ? count - longest : 0, head = longest * 2 / 3;
  std::string line;
  size_t index = 0;
  for (size_t at = 0; at < text.size(); ++index) {
    const size_t start = at;
    bool malformed = false;
    const char32_t c = next_code_point(text, at, &malformed);
    if (index == head && left_out > 0) line += fmt::format("[... {} more ...]", left_out);
    if (index >= head && index < head + left_out) continue;
    line += keep_tabs && c == '\t' ? "\t" : escaped(text.substr(start, at - start), c, malformed);
  }
  return line;
}

}  // namespace

std::string printable_message(std::string_view text) {
  std::string message;
  for (size_t begin = 0;;) {
    const size_t end = text.find('\n', begin);
    message += printable_line(text.substr(begin, end - begin), kLongestLine, true);
    if (end == text.npos) return message;
    message += '\n';
    begin = end + 1;
  }
}

std::string printable_value(std::string_view value, size_t longest) {
  return printable_line(value, longest, false);
}

std::vector<std::string> printable_values(const std::vector<std::string>& values) {
  std::vector<std::string> shown;
  shown.reserve(values.size());
  for (const auto& value : values) shown.push_back(printable_value(value, kLongestReason));
  return shown;
}

}  // namespace longspan
