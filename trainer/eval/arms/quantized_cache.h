#pragma once

#include "src/attention/attention.h"

namespace longspan {

/// Numbers in 8 or 4 bits, by blocks of 32 along the last dimension (of all of it where 32 does not
/// divide it) with one float16 scale each: the values of llama.cpp's q8_0 and q4_0.
struct QuantizedNumbers {
  at::Tensor codes;   // int8 [.., D], or uint8 [.., D / 2] with two numbers a byte
  at::Tensor scales;  // float16 [.., D / 32]

  int64_t bytes() const;
};
QuantizedNumbers quantize_numbers(const at::Tensor& x, int64_t bits);
at::Tensor dequantize_numbers(const QuantizedNumbers& numbers, int64_t bits, at::ScalarType dtype);

/// Rotated keys and values of one layer in so few bits. A pass sees its own as they are kept, too,
/// so that it does not matter how a text is cut into passes. Reading makes all of them whole again,
/// for this layer.
class QuantizedCache : public LayerState {
 public:
  explicit QuantizedCache(int64_t bits) : bits_(bits) {}

  int64_t length() const override { return length_; }
  /// Keeps no gradients.
  KeysAndValues read(int64_t first_position, const at::Tensor& k, const at::Tensor& v) override;
  void commit() override;
  std::shared_ptr<LayerState> fork() const override;
  int64_t bytes() const;

 private:
  struct Part {
    QuantizedNumbers keys, values;
    int64_t tokens = 0;
  };

  int64_t bits_;
  int64_t length_ = 0;
  std::vector<Part> parts_;  // in the order of the text; forks share their tensors
  std::optional<Part> pending_;
};

/// Full attention over a QuantizedCache.
class QuantizedCacheAttention : public AttentionPattern {
 public:
  std::string_view name() const override { return "kv_cache"; }
  std::shared_ptr<LayerState> make_state(int64_t layer) const override;
  void fields(FieldsIo& io) override;
  at::Tensor attend(const Heads& heads, const AttentionContext& context) const override;
  int64_t scored_pairs(int64_t seq_len, int64_t num_heads) const override;

  /// Of a number whose block has 32.
  double bits_with_scales() const { return static_cast<double>(bits_) + 16.0 / 32; }

 private:
  int64_t bits_ = 8;
};

}  // namespace longspan
