#include "checkpoints/gguf/gguf_blocks.h"

#include <ATen/Parallel.h>
#include <c10/util/Half.h>

#include <cstring>

namespace longspan {

namespace {

// Blocks of 32. d: scale, m: minimum; 4-bit values: low halves of the bytes first, then the high.

void dequantize_q4_0(const uint8_t* block, float* out) {
  float d = read_half(block);
  const uint8_t* q = block + 2;
  for (int i = 0; i < 16; ++i) {
    out[i] = static_cast<float>((q[i] & 15) - 8) * d;
    out[i + 16] = static_cast<float>((q[i] >> 4) - 8) * d;
  }
}

void dequantize_q4_1(const uint8_t* block, float* out) {
  float d = read_half(block), m = read_half(block + 2);
  const uint8_t* q = block + 4;
  for (int i = 0; i < 16; ++i) {
    out[i] = static_cast<float>(q[i] & 15) * d + m;
    out[i + 16] = static_cast<float>(q[i] >> 4) * d + m;
  }
}

/// Value i of a Q5 block: four bits from q, the fifth from bit i of `high`.
int five_bits(const uint8_t* q, uint32_t high, int i) {
  int low = i < 16 ? q[i] & 15 : q[i - 16] >> 4;
  return low | static_cast<int>(high >> i & 1) << 4;
}

void dequantize_q5_0(const uint8_t* block, float* out) {
  float d = read_half(block);
  uint32_t high;
  std::memcpy(&high, block + 2, sizeof high);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(five_bits(block + 6, high, i) - 16) * d;
}

void dequantize_q5_1(const uint8_t* block, float* out) {
  float d = read_half(block), m = read_half(block + 2);
  uint32_t high;
  std::memcpy(&high, block + 4, sizeof high);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(five_bits(block + 8, high, i)) * d + m;
}

void dequantize_q8_0(const uint8_t* block, float* out) {
  float d = read_half(block);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(static_cast<int8_t>(block[2 + i])) * d;
}

constexpr GgmlType kTypes[] = {
    {0, "F32", 1, 4, nullptr, nullptr},
    {1, "F16", 1, 2, nullptr, nullptr},
    {2, "Q4_0", 32, 18, dequantize_q4_0, quantize_q4_0},
    {3, "Q4_1", 32, 20, dequantize_q4_1, nullptr},
    {6, "Q5_0", 32, 22, dequantize_q5_0, quantize_q5_0},
    {7, "Q5_1", 32, 24, dequantize_q5_1, quantize_q5_1},
    {8, "Q8_0", 32, 34, dequantize_q8_0, quantize_q8_0},
    {10, "Q2_K", 256, 84, dequantize_q2_k, nullptr},
    {11, "Q3_K", 256, 110, dequantize_q3_k, nullptr},
    {12, "Q4_K", 256, 144, dequantize_q4_k, quantize_q4_k},
    {13, "Q5_K", 256, 176, dequantize_q5_k, quantize_q5_k},
    {14, "Q6_K", 256, 210, dequantize_q6_k, quantize_q6_k},
    {20, "IQ4_NL", 32, 18, dequantize_iq4_nl, nullptr},
    {23, "IQ4_XS", 256, 136, dequantize_iq4_xs, nullptr},
    {30, "BF16", 1, 2, nullptr, nullptr},
    {34, "TQ1_0", 256, 54, dequantize_tq1_0, nullptr},
    {35, "TQ2_0", 256, 66, dequantize_tq2_0, nullptr},
    {39, "MXFP4", 32, 17, dequantize_mxfp4, nullptr},
};

}  // namespace

float read_half(const uint8_t* bytes) {
  uint16_t bits;
  std::memcpy(&bits, bytes, sizeof bits);
  return c10::Half(bits, c10::Half::from_bits());
}

void write_half(float value, uint8_t* bytes) {
  c10::Half half(value);
  std::memcpy(bytes, &half.x, sizeof half.x);
}

const GgmlType* find_ggml_type(uint32_t id) {
  for (const auto& type : kTypes) {
    if (type.id == id) return &type;
  }
  return nullptr;
}

const GgmlType* find_ggml_type(std::string_view name) {
  for (const auto& type : kTypes) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

at::ScalarType pytorch_dtype(const GgmlType& type) {
  if (type.name == "F16") return at::kHalf;
  return type.name == "BF16" ? at::kBFloat16 : at::kFloat;
}

void dequantize(const GgmlType& type, const std::byte* data, int64_t blocks, float* out) {
  auto* block = reinterpret_cast<const uint8_t*>(data);
  for (int64_t i = 0; i < blocks; ++i) {
    type.dequantize_block(block, out);
    block += type.block_bytes;
    out += type.block_elements;
  }
}

void quantize(const GgmlType& type, const float* x, int64_t blocks, std::byte* data) {
  constexpr int64_t kGrain = 64;  // blocks: a thread is worth starting from about here
  auto* out = reinterpret_cast<uint8_t*>(data);
  at::parallel_for(0, blocks, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      type.quantize_block(x + i * type.block_elements, out + i * type.block_bytes);
    }
  });
}

}  // namespace longspan
