#include "trainer/eval/arms/quantized_numbers.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/where.h>

#include <vector>

namespace longspan {

namespace {

constexpr int64_t kBlockNumbers = 32;
constexpr int64_t kRowsOfATask = 512;

/// [.., D] -> [.., blocks, numbers] float32.
at::Tensor number_blocks(const at::Tensor& x) {
  const int64_t size = x.size(-1) % kBlockNumbers == 0 ? kBlockNumbers : x.size(-1);
  return x.to(at::kFloat).unflatten(-1, {-1, size});
}

/// 1 / scale, 0 of 0.
at::Tensor inverse(const at::Tensor& scales) {
  const at::Tensor scale = scales.to(at::kFloat);
  return at::where(scale.eq(0), scale, scale.reciprocal());
}

/// One block of `size` numbers.
template <class Number>
void dequantize_block(const int8_t* codes, float scale, int64_t size, Number* out) {
  for (int64_t i = 0; i < size; ++i) {
    out[i] = static_cast<Number>(static_cast<float>(codes[i]) * scale);
  }
}

/// The same of numbers in 4 bits: the low halves of the bytes, then the high ones.
template <class Number>
void dequantize_block(const uint8_t* codes, float scale, int64_t size, Number* out) {
  const int64_t half = size / 2;
  for (int64_t i = 0; i < half; ++i) {
    out[i] = static_cast<Number>((static_cast<float>(codes[i] & 15) - 8) * scale);
    out[half + i] = static_cast<Number>((static_cast<float>(codes[i] >> 4) - 8) * scale);
  }
}

/// The rows of a tensor [heads, rows, n].
template <class T>
struct StridedRows {
  const T* data;
  int64_t head_stride, row_stride, rows;

  explicit StridedRows(const at::Tensor& x)
      : data(x.const_data_ptr<T>()),
        head_stride(x.stride(0)),
        row_stride(x.stride(1)),
        rows(x.size(1)) {}
  /// Row i % rows of head i / rows.
  const T* operator[](int64_t i) const {
    return data + i / rows * head_stride + i % rows * row_stride;
  }
};

/// [.., T, n] as [heads, T, n].
at::Tensor as_heads(const at::Tensor& x) {
  if (x.dim() < 3) return x.dim() == 1 ? x.view({1, 1, -1}) : x.unsqueeze(0);
  return x.flatten(0, -3);
}

template <class Code, class Number>
void dequantize_into(const QuantizedNumbers& numbers, at::Tensor& out) {
  const at::Tensor codes = as_heads(numbers.codes), scales = as_heads(numbers.scales);
  const StridedRows<Code> code_rows(codes);
  const StridedRows<at::Half> scale_rows(scales);
  Number* const first = out.mutable_data_ptr<Number>();
  const int64_t blocks = scales.size(2), bytes = codes.size(2) / blocks;
  const int64_t width = out.size(-1), block = width / blocks;
  at::parallel_for(0, codes.size(0) * codes.size(1), kRowsOfATask, [&](int64_t row, int64_t end) {
    for (; row < end; ++row) {
      const Code* const code = code_rows[row];
      const at::Half* const scale = scale_rows[row];
      for (int64_t b = 0; b < blocks; ++b) {
        dequantize_block(code + b * bytes, static_cast<float>(scale[b]), block,
                         first + row * width + b * block);
      }
    }
  });
}

/// Of a dtype or device that has no pass of its own.
at::Tensor dequantize_by_operators(const QuantizedNumbers& numbers, int64_t bits,
                                   at::ScalarType dtype) {
  const at::Tensor scales = numbers.scales.unsqueeze(-1).to(at::kFloat);
  const at::Tensor codes = numbers.codes.unflatten(-1, {scales.size(-2), -1});
  if (bits == 8) return (codes.to(at::kFloat) * scales).flatten(-2).to(dtype);
  const at::Tensor low = codes.bitwise_and(15), high = codes.div(16, "floor");
  return ((at::cat({low, high}, -1).to(at::kFloat) - 8) * scales).flatten(-2).to(dtype);
}

}  // namespace

int64_t QuantizedNumbers::bytes() const {
  return static_cast<int64_t>(codes.nbytes() + scales.nbytes());
}

QuantizedNumbers quantize_numbers(const at::Tensor& x, int64_t bits) {
  const at::Tensor blocks = number_blocks(x);
  if (bits == 8) {
    const at::Tensor scales = (blocks.abs().amax(-1, /*keepdim=*/true) / 127).to(at::kHalf);
    const at::Tensor codes = (blocks * inverse(scales)).round().clamp(-127, 127).to(at::kChar);
    return {codes.flatten(-2), scales.squeeze(-1)};
  }
  const at::Tensor largest = blocks.abs().argmax(-1, /*keepdim=*/true);
  const at::Tensor scales = (blocks.gather(-1, largest) / -8).to(at::kHalf);
  const at::Tensor codes =
      (blocks * inverse(scales) + 8.5).floor().clamp(0, 15).to(at::kByte);  // [.., blocks, numbers]
  const int64_t half = codes.size(-1) / 2;
  const at::Tensor packed = codes.narrow(-1, 0, half) + codes.narrow(-1, half, half) * 16;
  return {packed.flatten(-2), scales.squeeze(-1)};
}

at::Tensor dequantize_numbers(const QuantizedNumbers& numbers, int64_t bits, at::ScalarType dtype) {
  const bool has_pass = dtype == at::kFloat || dtype == at::kBFloat16;
  if (!numbers.codes.is_cpu() || !has_pass) return dequantize_by_operators(numbers, bits, dtype);
  std::vector<int64_t> sizes(numbers.codes.sizes().begin(), numbers.codes.sizes().end());
  sizes.back() *= bits == 8 ? 1 : 2;
  at::Tensor out = at::empty(sizes, numbers.codes.options().dtype(dtype));
  if (bits == 8) {
    dtype == at::kFloat ? dequantize_into<int8_t, float>(numbers, out)
                        : dequantize_into<int8_t, at::BFloat16>(numbers, out);
  } else {
    dtype == at::kFloat ? dequantize_into<uint8_t, float>(numbers, out)
                        : dequantize_into<uint8_t, at::BFloat16>(numbers, out);
  }
  return out;
}

}  // namespace longspan
