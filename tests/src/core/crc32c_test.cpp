#include "src/core/crc32c.h"

#include <gtest/gtest.h>

#include <string>

namespace longspan {
namespace {

uint32_t of(const std::string& bytes) { return crc32c(bytes.data(), bytes.size()); }

TEST(Crc32c, HasTheValuesOfRfc3720) {
  std::string ascending(32, '\0');
  for (int i = 0; i < 32; ++i) ascending[i] = static_cast<char>(i);
  EXPECT_EQ(of(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(of(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(of(ascending), 0x46dd794eu);
  EXPECT_EQ(of("123456789"), 0xe3069283u);
  EXPECT_EQ(of(""), 0u);
}

}  // namespace
}  // namespace longspan
