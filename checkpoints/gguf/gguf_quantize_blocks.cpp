#include <algorithm>
#include <cmath>
#include <cstring>

#include "checkpoints/gguf/gguf_blocks.h"

namespace longspan {

// Blocks of 32 (llama.cpp's ggml-quants.c, quantize_row_q*_ref). A product and a sum are rounded
// each: a fused one would give other bits, so this file is not compiled for a CPU that fuses them.

namespace {

/// The value of the largest magnitude, the first of equals.
float extreme(const float* x) {
  float magnitude = 0, value = 0;
  for (int i = 0; i < 32; ++i) {
    if (magnitude < std::fabs(x[i])) {
      magnitude = std::fabs(x[i]);
      value = x[i];
    }
  }
  return value;
}

/// 0 where 1 / d is too large for a float: such a d becomes a half of 0.
float inverse(float d) { return std::isfinite(1 / d) ? 1 / d : 0; }

int truncated(float value, int most) {
  return std::min(most, static_cast<int>(static_cast<int8_t>(value)));
}

/// high bits[4] | low[16]
void write_five_bits(const int* q, uint8_t* out) {
  uint32_t high = 0;
  for (int i = 0; i < 16; ++i)
    out[4 + i] = static_cast<uint8_t>((q[i] & 15) | (q[i + 16] & 15) << 4);
  for (int i = 0; i < 32; ++i) high |= static_cast<uint32_t>(q[i] >> 4 & 1) << i;
  std::memcpy(out, &high, sizeof high);
}

}  // namespace

void quantize_q4_0(const float* x, uint8_t* block) {
  float d = extreme(x) / -8, scale = inverse(d);
  write_half(d, block);
  for (int i = 0; i < 16; ++i) {
    int low = truncated(x[i] * scale + 8.5f, 15), high = truncated(x[i + 16] * scale + 8.5f, 15);
    block[2 + i] = static_cast<uint8_t>(low | high << 4);
  }
}

void quantize_q5_0(const float* x, uint8_t* block) {
  float d = extreme(x) / -16, scale = inverse(d);
  write_half(d, block);
  int q[32];
  for (int i = 0; i < 32; ++i) q[i] = truncated(x[i] * scale + 16.5f, 31);
  write_five_bits(q, block + 2);
}

void quantize_q5_1(const float* x, uint8_t* block) {
  auto [low, high] = std::minmax_element(x, x + 32);
  float m = *low, d = (*high - m) / 31, scale = inverse(d);
  write_half(d, block);
  write_half(m, block + 2);
  int q[32];
  for (int i = 0; i < 32; ++i) q[i] = static_cast<int>((x[i] - m) * scale + 0.5f);
  write_five_bits(q, block + 4);
}

void quantize_q8_0(const float* x, uint8_t* block) {
  float d = std::fabs(extreme(x)) / 127, scale = inverse(d);
  write_half(d, block);
  for (int i = 0; i < 32; ++i) {
    block[2 + i] = static_cast<uint8_t>(static_cast<int8_t>(std::round(x[i] * scale)));
  }
}

}  // namespace longspan
