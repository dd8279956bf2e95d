#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace longspan {

/// How the weight of a frozen projection is kept; computation is in its dtype all the same.
enum class Quantization { kNone, kNf4, kInt8 };

/// "none", "nf4" or "int8", as recipes and options spell them; any other name is nothing.
std::optional<Quantization> quantization_named(std::string_view name);

/// A frozen weight [out_features, in_features] kept in fewer bits than its dtype.
class QuantizedWeight {
 public:
  virtual ~QuantizedWeight() = default;

  virtual std::array<int64_t, 2> sizes() const = 0;  // out_features, in_features
  virtual at::ScalarType dtype() const = 0;          // what it was and becomes again
  virtual at::Device device() const = 0;
  virtual std::shared_ptr<const QuantizedWeight> to(at::Device device) const = 0;
  virtual int64_t bytes() const = 0;  // in memory
  /// The weight again, dense, [out_features, in_features] in dtype(); the same bits every time.
  /// `out` when given must be contiguous of that shape and dtype: a scratch used again by the next.
  virtual at::Tensor dequantize(at::Tensor out = {}) const = 0;
};

/// weight [out_features, in_features], float32 or bfloat16, finite; kind other than kNone. A shape
/// that the kind cannot take throws Error(kModel).
std::shared_ptr<const QuantizedWeight> quantize_weight(const at::Tensor& weight, Quantization kind);

/// bytes() of a weight of that shape and dtype; with kNone those of the dense one.
int64_t quantized_bytes(int64_t out_features, int64_t in_features, at::ScalarType dtype,
                        Quantization kind);

}  // namespace longspan
