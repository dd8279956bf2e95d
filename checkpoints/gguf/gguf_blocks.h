#pragma once

#include <c10/core/ScalarType.h>

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
  /// block_elements floats -> block, to the bit as llama.cpp's reference quantiser without an
  /// importance matrix; null for the types that are only read.
  void (*quantize_block)(const float* x, uint8_t* block);
};

/// nullptr when the id or the name is unknown, or of a type that is not read (IQ1*, IQ2*, IQ3* and
/// others).
const GgmlType* find_ggml_type(uint32_t id);
const GgmlType* find_ggml_type(std::string_view name);

/// PyTorch's dtype of F32, F16 and BF16; float32 of block types, which are made from it and become
/// it.
at::ScalarType pytorch_dtype(const GgmlType& type);

/// blocks x block_elements floats.
void dequantize(const GgmlType& type, const std::byte* data, int64_t blocks, float* out);
/// The reverse, on all threads.
void quantize(const GgmlType& type, const float* x, int64_t blocks, std::byte* data);

// One block of 256 of the K-quants.
void dequantize_q2_k(const uint8_t* block, float* out);
void dequantize_q3_k(const uint8_t* block, float* out);
void dequantize_q4_k(const uint8_t* block, float* out);
void dequantize_q5_k(const uint8_t* block, float* out);
void dequantize_q6_k(const uint8_t* block, float* out);

void quantize_q4_k(const float* x, uint8_t* block);
void quantize_q5_k(const float* x, uint8_t* block);
void quantize_q6_k(const float* x, uint8_t* block);

// Blocks of 32 or 256 whose 4-bit values are indices into a table, and the
// ternary ones.
void dequantize_iq4_nl(const uint8_t* block, float* out);
void dequantize_iq4_xs(const uint8_t* block, float* out);
void dequantize_mxfp4(const uint8_t* block, float* out);
void dequantize_tq1_0(const uint8_t* block, float* out);
void dequantize_tq2_0(const uint8_t* block, float* out);

void quantize_q4_0(const float* x, uint8_t* block);
void quantize_q5_0(const float* x, uint8_t* block);
void quantize_q5_1(const float* x, uint8_t* block);
void quantize_q8_0(const float* x, uint8_t* block);

/// A half at any address as float, and back: rounded to nearest, ties to even.
float read_half(const uint8_t* bytes);
void write_half(float value, uint8_t* bytes);

}  // namespace longspan
