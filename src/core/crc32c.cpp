#include "src/core/crc32c.h"

#include <nmmintrin.h>

#include <array>
#include <cstring>

namespace longspan {

namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // bits in reverse

constexpr std::array<uint32_t, 256> make_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ (value & 1 ? kPolynomial : 0);
    table[i] = value;
  }
  return table;
}

uint32_t by_table(const unsigned char* at, size_t size, uint32_t crc) {
  static constexpr std::array<uint32_t, 256> kTable = make_table();
  for (; size > 0; --size, ++at) crc = (crc >> 8) ^ kTable[(crc ^ *at) & 255];
  return crc;
}

// 2.7 bytes a cycle: the instruction takes 3 cycles and each waits for the one before.
__attribute__((target("sse4.2"))) uint32_t by_instruction(const unsigned char* at, size_t size,
                                                          uint32_t crc) {
  uint64_t wide = crc;
  for (; size >= 8; size -= 8, at += 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    wide = _mm_crc32_u64(wide, word);
  }
  crc = static_cast<uint32_t>(wide);
  for (; size > 0; --size, ++at) crc = _mm_crc32_u8(crc, *at);
  return crc;
}

}  // namespace

uint32_t crc32c(const void* data, size_t size) {
  static const bool has_instruction = __builtin_cpu_supports("sse4.2");
  const auto* bytes = static_cast<const unsigned char*>(data);
  constexpr uint32_t kBegin = 0xffffffff;
  return ~(has_instruction ? by_instruction(bytes, size, kBegin) : by_table(bytes, size, kBegin));
}

}  // namespace longspan
