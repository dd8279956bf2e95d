#include <bit>
#include <cstring>

#include "checkpoints/gguf/gguf_blocks.h"

namespace longspan {

// 4-bit values that stand for the entries of a table, and ternary ones (llama.cpp's ggml-quants.c,
// dequantize_row_*). Low halves of the bytes first, then the high ones.

namespace {

constexpr float kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                  1,    13,   25,  38,  53,  69,  89,  113};
// FP4 (E2M1) doubled; the scale is halved instead.
constexpr float kFp4Values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

void look_up(const uint8_t* q, const float* table, float scale, float* out) {
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * table[q[i] & 15];
    out[i + 16] = scale * table[q[i] >> 4];
  }
}

/// Half of 2^(exponent - 127).
float half_of_e8m0(uint8_t exponent) {
  uint32_t bits = exponent < 2 ? 0x00200000u << exponent : (uint32_t{exponent} - 1u) << 23;
  return std::bit_cast<float>(bits);
}

/// Digit `place` (0 the leading one) of five base-3 digits in a byte, as -1, 0 or 1.
float ternary_digit(uint8_t byte, int place) {
  constexpr uint8_t kPowers[] = {1, 3, 9, 27, 81};
  auto rest = static_cast<uint8_t>(byte * kPowers[place]);
  return static_cast<float>((rest * 3 >> 8) - 1);
}

}  // namespace

// d | q[16]
void dequantize_iq4_nl(const uint8_t* block, float* out) {
  look_up(block + 2, kIq4Values, read_half(block), out);
}

// d | high bits of the scales, 2 bytes | low bits, 4 bytes | q[128]
void dequantize_iq4_xs(const uint8_t* block, float* out) {
  float d = read_half(block);
  uint16_t high;
  std::memcpy(&high, block + 2, sizeof high);
  for (int j = 0; j < 8; ++j) {
    int scale = (block[4 + j / 2] >> (j % 2 * 4) & 15) | (high >> (j * 2) & 3) << 4;
    look_up(block + 8 + j * 16, kIq4Values, d * static_cast<float>(scale - 32), out + j * 32);
  }
}

// exponent | q[16]
void dequantize_mxfp4(const uint8_t* block, float* out) {
  look_up(block + 1, kFp4Values, half_of_e8m0(block[0]), out);
}

// q[48], five values a byte | high[4], four values a byte | d
void dequantize_tq1_0(const uint8_t* block, float* out) {
  float d = read_half(block + 52);
  auto unpack = [&](int begin, int bytes, int digits) {
    for (int place = 0; place < digits; ++place) {
      for (int i = 0; i < bytes; ++i) *out++ = ternary_digit(block[begin + i], place) * d;
    }
  };
  unpack(0, 32, 5);
  unpack(32, 16, 5);
  unpack(48, 4, 4);
}

// q[64] | d
void dequantize_tq2_0(const uint8_t* block, float* out) {
  float d = read_half(block + 64);
  for (int i = 0; i < 256; ++i) {
    int value = block[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
    out[i] = static_cast<float>(value - 1) * d;
  }
}

}  // namespace longspan
