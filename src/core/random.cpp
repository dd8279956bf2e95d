#include "src/core/random.h"

namespace longspan {

std::mt19937_64 generator_of(uint64_t seed, uint64_t n) {
  constexpr uint64_t kGoldenRatio = 0x9E3779B97F4A7C15;
  return std::mt19937_64(seed * kGoldenRatio + n);
}

double draw_uniform(std::mt19937_64& generator) {
  return static_cast<double>(generator() >> 11) * 0x1p-53;  // the bits of a double's mantissa
}

uint64_t draw_below(uint64_t bound, std::mt19937_64& generator) {
  const uint64_t unbiased = bound * (std::mt19937_64::max() / bound);
  uint64_t drawn = generator();
  while (drawn >= unbiased) drawn = generator();
  return drawn % bound;
}

}  // namespace longspan
