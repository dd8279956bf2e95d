#include <algorithm>
#include <cmath>
#include <cstring>

#include "checkpoints/gguf/gguf_blocks.h"

namespace longspan {

// K-quants (llama.cpp's ggml-quants.c, quantize_row_q*_K_ref): each sub-block searches the scale,
// and minimum, of the least weighted squared error. The order of every sum is llama.cpp's, so that
// the bits are. No product is fused with a sum: this file is compiled for any x86-64.

namespace {

/// Rounds half to even; |value| < 2^22.
int nearest_int(float value) {
  float shifted = value + 12582912.f;  // 1.5 * 2^23: the integer lands in the mantissa
  int bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  return (bits & 0x007fffff) - 0x00400000;
}

struct QuantizedScaleMin {
  float scale, min;  // x is about scale * q - min
};

/// How far 32 values are from scale * q + min, squared and weighted.
float error_of(const float* x, const float* weights, const uint8_t* q, float scale, float min) {
  float error = 0;
  for (int i = 0; i < 32; ++i) {
    float difference = scale * static_cast<float>(q[i]) + min - x[i];
    error += weights[i] * (difference * difference);
  }
  return error;
}

/// make_qkx2_quants: q in [0, most] for 32 values. Tries the inverse scales (first + most) / range
/// and on in `steps` steps of 0.1 / range; each proposes q, and q the least-squares scale and
/// minimum. A better minimum moves the range of the steps after it.
QuantizedScaleMin search_scale_min(const float* x, const float* weights, int most, float first,
                                   int steps, uint8_t* q) {
  float min = x[0], max = x[0], sum_w = weights[0], sum_x = sum_w * x[0];
  for (int i = 1; i < 32; ++i) {
    min = std::min(min, x[i]);
    max = std::max(max, x[i]);
    sum_w += weights[i];
    sum_x += weights[i] * x[i];
  }
  min = std::min(min, 0.f);
  if (max == min) {
    std::fill(q, q + 32, uint8_t{0});
    return {0, -min};
  }
  auto propose = [&](float inverse_scale, uint8_t* out) {
    for (int i = 0; i < 32; ++i) {
      int value = nearest_int(inverse_scale * (x[i] - min));
      out[i] = static_cast<uint8_t>(std::clamp(value, 0, most));
    }
  };
  auto levels = static_cast<float>(most);
  float inverse_scale = levels / (max - min), scale = 1 / inverse_scale;
  propose(inverse_scale, q);
  float best_error = error_of(x, weights, q, scale, min);

  uint8_t trial[32];
  for (int step = 0; step <= steps; ++step) {
    propose((first + 0.1f * static_cast<float>(step) + levels) / (max - min), trial);
    float sum_q = 0, sum_qq = 0, sum_qx = 0;
    for (int i = 0; i < 32; ++i) {
      float value = trial[i], weighted = weights[i] * value;
      sum_q += weighted;
      sum_qq += weighted * value;
      sum_qx += weighted * x[i];
    }
    float determinant = sum_w * sum_qq - sum_q * sum_q;
    if (!(determinant > 0)) continue;
    float new_scale = (sum_w * sum_qx - sum_x * sum_q) / determinant;
    float new_min = (sum_qq * sum_x - sum_q * sum_qx) / determinant;
    if (new_min > 0) {
      new_min = 0;
      new_scale = sum_qx / sum_qq;
    }
    float error = error_of(x, weights, trial, new_scale, new_min);
    if (error < best_error) {
      std::copy(trial, trial + 32, q);
      best_error = error;
      scale = new_scale;
      min = new_min;
    }
  }
  return {scale, -min};
}

/// Packs eight 6-bit scales and minima into 12 bytes.
void pack_scales(const uint8_t* scales, const uint8_t* mins, uint8_t* packed) {
  for (int j = 0; j < 4; ++j) {
    packed[j] = static_cast<uint8_t>(scales[j] | scales[j + 4] >> 4 << 6);
    packed[j + 4] = static_cast<uint8_t>(mins[j] | mins[j + 4] >> 4 << 6);
    packed[j + 8] = static_cast<uint8_t>((scales[j + 4] & 15) | (mins[j + 4] & 15) << 4);
  }
}

/// What Q4_K and Q5_K share: writes d | dmin | scales[12] and gives the values q[256] in [0, most].
void quantize_scale_min(const float* x, int most, float first, int steps, uint8_t* header,
                        uint8_t* q) {
  QuantizedScaleMin found[8];
  float max_scale = 0, max_min = 0;
  for (int j = 0; j < 8; ++j) {
    const float* sub = x + j * 32;
    float sum_xx = 0, weights[32];
    for (int i = 0; i < 32; ++i) sum_xx += sub[i] * sub[i];
    float rms = std::sqrt(sum_xx / 32);
    for (int i = 0; i < 32; ++i) weights[i] = rms + std::fabs(sub[i]);
    found[j] = search_scale_min(sub, weights, most, first, steps, q + j * 32);
    max_scale = std::max(max_scale, found[j].scale);
    max_min = std::max(max_min, found[j].min);
  }
  float per_scale = max_scale > 0 ? 63.f / max_scale : 0.f;
  float per_min = max_min > 0 ? 63.f / max_min : 0.f;
  uint8_t scales[8], mins[8];
  for (int j = 0; j < 8; ++j) {
    // The cast to a byte before the minimum is llama.cpp's.
    scales[j] =
        std::min<uint8_t>(63, static_cast<uint8_t>(nearest_int(per_scale * found[j].scale)));
    mins[j] = std::min<uint8_t>(63, static_cast<uint8_t>(nearest_int(per_min * found[j].min)));
  }
  pack_scales(scales, mins, header + 4);
  write_half(max_scale / 63.f, header);
  write_half(max_min / 63.f, header + 2);

  for (int j = 0; j < 8; ++j) {
    float d = read_half(header) * static_cast<float>(scales[j]);
    if (d == 0) continue;
    float dm = read_half(header + 2) * static_cast<float>(mins[j]);
    for (int i = j * 32; i < j * 32 + 32; ++i) {
      q[i] = static_cast<uint8_t>(std::clamp(nearest_int((x[i] + dm) / d), 0, most));
    }
  }
}

/// make_qx_quants: q in [-32, 31], shifted to [0, 63], for 16 values weighted by their squares.
/// Returns the scale.
float search_scale(const float* x, uint8_t* q) {
  float max = 0;
  for (int i = 0; i < 16; ++i) {
    if (std::fabs(x[i]) > std::fabs(max)) max = x[i];
  }
  if (std::fabs(max) < 1e-15f) {
    std::fill(q, q + 16, uint8_t{0});
    return 0;
  }
  float sum_qx = 0, sum_qq = 0, inverse_scale = 0;
  auto value = [&](int i) { return std::clamp(nearest_int(inverse_scale * x[i]), -32, 31); };
  auto sum_up = [&] {
    sum_qx = sum_qq = 0;
    for (int i = 0; i < 16; ++i) {
      float weight = x[i] * x[i];
      auto v = static_cast<float>(value(i));
      sum_qx += weight * x[i] * v;
      sum_qq += weight * v * v;
    }
  };
  auto take = [&] {
    for (int i = 0; i < 16; ++i) q[i] = static_cast<uint8_t>(32 + value(i));
  };
  inverse_scale = -32 / max;
  sum_up();
  take();
  float scale = sum_qq != 0 ? sum_qx / sum_qq : 0.f, best = scale * sum_qx;
  for (int step = -9; step <= 9; ++step) {
    if (step == 0) continue;
    inverse_scale = -(32 + 0.1f * static_cast<float>(step)) / max;
    sum_up();
    if (sum_qq > 0 && sum_qx * sum_qx > best * sum_qq) {
      take();
      scale = sum_qx / sum_qq;
      best = scale * sum_qx;
    }
  }
  return scale;
}

}  // namespace

// d | dmin | scales[12] | q[128]
void quantize_q4_k(const float* x, uint8_t* block) {
  uint8_t q[256];
  quantize_scale_min(x, 15, -1.f, 20, block, q);
  for (int j = 0; j < 4; ++j) {
    for (int i = 0; i < 32; ++i) {
      block[16 + j * 32 + i] = static_cast<uint8_t>(q[j * 64 + i] | q[j * 64 + 32 + i] << 4);
    }
  }
}

// d | dmin | scales[12] | high[32] | q[128]
void quantize_q5_k(const float* x, uint8_t* block) {
  uint8_t q[256];
  quantize_scale_min(x, 31, -0.5f, 15, block, q);
  uint8_t* high = block + 16;
  std::fill(high, high + 32, uint8_t{0});
  for (int j = 0; j < 8; ++j) {
    for (int i = 0; i < 32; ++i) high[i] |= static_cast<uint8_t>(q[j * 32 + i] >> 4 << j);
  }
  for (int j = 0; j < 4; ++j) {
    for (int i = 0; i < 32; ++i) {
      int low = q[j * 64 + i] & 15, up = q[j * 64 + 32 + i] & 15;
      block[48 + j * 32 + i] = static_cast<uint8_t>(low | up << 4);
    }
  }
}

// low[128] | high[64] | scales[16], signed | d
void quantize_q6_k(const float* x, uint8_t* block) {
  uint8_t q[256];
  float scales[16], max_scale = 0;
  for (int j = 0; j < 16; ++j) {
    scales[j] = search_scale(x + j * 16, q + j * 16);
    if (std::fabs(scales[j]) > std::fabs(max_scale)) max_scale = scales[j];
  }
  if (std::fabs(max_scale) < 1e-15f) {
    std::memset(block, 0, 210);
    return;
  }
  float inverse_scale = -128.f / max_scale;
  write_half(1 / inverse_scale, block + 208);
  for (int j = 0; j < 16; ++j) {
    auto scale = static_cast<int8_t>(std::min(127, nearest_int(inverse_scale * scales[j])));
    block[192 + j] = static_cast<uint8_t>(scale);
    float d = read_half(block + 208) * static_cast<float>(scale);
    if (d == 0) continue;
    for (int i = j * 16; i < j * 16 + 16; ++i) {
      q[i] = static_cast<uint8_t>(std::clamp(nearest_int(x[i] / d), -32, 31) + 32);
    }
  }
  for (int half = 0; half < 2; ++half) {
    const uint8_t* from = q + half * 128;
    uint8_t *low = block + half * 64, *high = block + 128 + half * 32;
    for (int i = 0; i < 32; ++i) {
      low[i] = static_cast<uint8_t>((from[i] & 15) | (from[i + 64] & 15) << 4);
      low[i + 32] = static_cast<uint8_t>((from[i + 32] & 15) | (from[i + 96] & 15) << 4);
      high[i] = static_cast<uint8_t>(from[i] >> 4 | from[i + 32] >> 4 << 2 |
                                     from[i + 64] >> 4 << 4 | from[i + 96] >> 4 << 6);
    }
  }
}

}  // namespace longspan
