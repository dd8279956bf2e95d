
#include "checkpoints/gguf/gguf_blocks.h"

namespace longspan {

// K-quants: 256 values in sub-blocks of 16 or 32 that have their own small scales (llama.cpp's
// ggml-quants.c, dequantize_row_q*_K). d scales the scales, dmin the minima.

namespace {

/// Scale and minimum of sub-block j of Q4_K and Q5_K: 6 bits each, packed into 12 bytes.
struct ScaleMin {
  int scale, min;
};

ScaleMin scale_min(const uint8_t* packed, int j) {
  if (j < 4) return {packed[j] & 63, packed[j + 4] & 63};
  return {(packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4, (packed[j + 4] >> 4) | (packed[j] >> 6)
                                                                                       << 4};
}

}  // namespace

// scales[16] | q[64] | d | dmin
void dequantize_q2_k(const uint8_t* block, float* out) {
  const uint8_t *scales = block, *q = block + 16;
  float d = read_half(block + 80), dmin = read_half(block + 82);
  for (int i = 0; i < 256; ++i) {
    int half = i / 128, shift = i % 128 / 32 * 2;
    float dl = d * static_cast<float>(scales[i / 16] & 15);
    float ml = dmin * static_cast<float>(scales[i / 16] >> 4);
    out[i] = dl * static_cast<float>(q[half * 32 + i % 32] >> shift & 3) - ml;
  }
}

// high[32] | q[64] | scales[12] | d
void dequantize_q3_k(const uint8_t* block, float* out) {
  const uint8_t *high = block, *q = block + 32, *packed = block + 96;
  float d = read_half(block + 108);
  for (int i = 0; i < 256; ++i) {
    int half = i / 128, step = i % 128 / 32, sub = i / 16;
    // 6-bit scales: four bits from the first 8 bytes, two from the last 4.
    int low = sub < 8 ? packed[sub] & 15 : packed[sub - 8] >> 4;
    int scale = low | (packed[8 + sub % 4] >> (sub / 4 * 2) & 3) << 4;
    int value = q[half * 32 + i % 32] >> (step * 2) & 3;
    if ((high[i % 32] >> (half * 4 + step) & 1) == 0) value -= 4;
    out[i] = d * static_cast<float>(scale - 32) * static_cast<float>(value);
  }
}

// d | dmin | scales[12] | q[128]
void dequantize_q4_k(const uint8_t* block, float* out) {
  float d = read_half(block), dmin = read_half(block + 2);
  const uint8_t* q = block + 16;
  for (int j = 0; j < 8; ++j) {
    auto [scale, min] = scale_min(block + 4, j);
    float dl = d * static_cast<float>(scale), ml = dmin * static_cast<float>(min);
    for (int i = 0; i < 32; ++i) {
      int value = q[j / 2 * 32 + i] >> (j % 2 * 4) & 15;
      out[j * 32 + i] = dl * static_cast<float>(value) - ml;
    }
  }
}

// d | dmin | scales[12] | high[32] | q[128]
void dequantize_q5_k(const uint8_t* block, float* out) {
  float d = read_half(block), dmin = read_half(block + 2);
  const uint8_t *high = block + 16, *q = block + 48;
  for (int j = 0; j < 8; ++j) {
    auto [scale, min] = scale_min(block + 4, j);
    float dl = d * static_cast<float>(scale), ml = dmin * static_cast<float>(min);
    for (int i = 0; i < 32; ++i) {
      int value = (q[j / 2 * 32 + i] >> (j % 2 * 4) & 15) | (high[i] >> j & 1) << 4;
      out[j * 32 + i] = dl * static_cast<float>(value) - ml;
    }
  }
}

// low[128] | high[64] | scales[16], signed | d
void dequantize_q6_k(const uint8_t* block, float* out) {
  const uint8_t *low = block, *high = block + 128;
  float d = read_half(block + 208);
  for (int i = 0; i < 256; ++i) {
    int half = i / 128, quarter = i % 128 / 32, column = i % 32;
    int four = low[half * 64 + quarter % 2 * 32 + column] >> (quarter / 2 * 4) & 15;
    int two = high[half * 32 + column] >> (quarter * 2) & 3;
    auto scale = static_cast<int8_t>(block[192 + i / 16]);
    out[i] = d * static_cast<float>(scale) * static_cast<float>((four | two << 4) - 32);
  }
}

}  // namespace longspan
