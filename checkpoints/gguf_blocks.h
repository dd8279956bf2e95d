#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace longspan {

/// A ggml tensor type: rows are cut into blocks of `block_elements`, each of `block_bytes`.
struct GgmlType {
  uint32_t id;
  std::string_view name;  // "F32", "Q4_1", ...
  int64_t block_elements;
  int64_t block_bytes;
  /// Block -> block_elements floats, by the formulas of llama.cpp's ggml-quants.c; null for the
  /// types that PyTorch has (F32, F16, BF16).
  void (*dequantize_block)(const uint8_t* block, float* out);
};

/// nullptr when the id is unknown or a type that cannot be read (IQ*, TQ*, ...).
const GgmlType* find_ggml_type(uint32_t id);

/// blocks x block_elements floats.
void dequantize(const GgmlType& type, const std::byte* data, int64_t blocks, float* out);

// One block of 256 of the K-quants.
void dequantize_q2_k(const uint8_t* block, float* out);
void dequantize_q3_k(const uint8_t* block, float* out);
void dequantize_q4_k(const uint8_t* block, float* out);
void dequantize_q5_k(const uint8_t* block, float* out);
void dequantize_q6_k(const uint8_t* block, float* out);

/// A half at any address as float.
float read_half(const uint8_t* bytes);

}  // namespace longspan
