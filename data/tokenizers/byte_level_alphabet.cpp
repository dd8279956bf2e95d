#include "data/tokenizers/byte_level_alphabet.h"

#include <array>

#include "src/core/utf8.h"

namespace longspan {

namespace {

constexpr bool names_itself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr std::array<char32_t, 256> kNames = [] {
  std::array<char32_t, 256> names{};
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    names[byte] = names_itself(byte) ? static_cast<char32_t>(byte) : next++;
  }
  return names;
}();

constexpr size_t kNameEnd = 0x100 + 68;
constexpr std::array<int16_t, kNameEnd> kBytes = [] {
  std::array<int16_t, kNameEnd> bytes{};
  bytes.fill(-1);
  for (int byte = 0; byte < 256; ++byte) bytes[kNames[byte]] = static_cast<int16_t>(byte);
  return bytes;
}();

}  // namespace

std::string byte_level_name(uint8_t byte) {
  std::string name;
  append_utf8(name, kNames[byte]);
  return name;
}

std::string byte_level_names(std::string_view bytes) {
  std::string names;
  for (char byte : bytes) append_utf8(names, kNames[static_cast<uint8_t>(byte)]);
  return names;
}

std::optional<std::string> byte_level_bytes(std::string_view token) {
  std::string bytes;
  for (size_t at = 0; at < token.size();) {
    char32_t name = next_code_point(token, at);
    if (name >= kNameEnd || kBytes[name] < 0) return std::nullopt;
    bytes += static_cast<char>(kBytes[name]);
  }
  return bytes;
}

}  // namespace longspan
