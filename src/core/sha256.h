#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace longspan {

/// SHA-256 (FIPS 180-4), fed in parts.
class Sha256 {
 public:
  void update(std::string_view bytes);
  /// The digest in lower-case hex; the object is spent then.
  std::string hex_digest();

 private:
  void compress(const unsigned char* block);

  std::array<uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<unsigned char, 64> block_{};
  uint64_t size_ = 0;
};

}  // namespace longspan
