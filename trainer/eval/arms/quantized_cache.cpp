#include "trainer/eval/arms/quantized_cache.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/where.h>
#include <fmt/format.h>

#include <stdexcept>

#include "src/attention/full.h"

namespace longspan {

namespace {

constexpr int64_t kBlockNumbers = 32;

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
  const at::Tensor scales = numbers.scales.unsqueeze(-1).to(at::kFloat);
  const at::Tensor codes = numbers.codes.unflatten(-1, {scales.size(-2), -1});
  if (bits == 8) return (codes.to(at::kFloat) * scales).flatten(-2).to(dtype);
  const at::Tensor low = codes.bitwise_and(15), high = codes.div(16, "floor");
  return ((at::cat({low, high}, -1).to(at::kFloat) - 8) * scales).flatten(-2).to(dtype);
}

KeysAndValues QuantizedCache::read(int64_t first_position, const at::Tensor& k,
                                   const at::Tensor& v) {
  if (first_position != length_) {
    throw std::logic_error(fmt::format(
        "QuantizedCache: a pass begins at position {}, after {} tokens", first_position, length_));
  }
  pending_ = Part{quantize_numbers(k, bits_), quantize_numbers(v, bits_), k.size(2)};
  std::vector<at::Tensor> keys, values;
  const auto add = [&](const Part& part) {
    keys.push_back(dequantize_numbers(part.keys, bits_, k.scalar_type()));
    values.push_back(dequantize_numbers(part.values, bits_, v.scalar_type()));
  };
  for (const Part& part : parts_) add(part);
  add(*pending_);
  return {at::cat(keys, 2), at::cat(values, 2)};
}

void QuantizedCache::commit() {
  length_ += pending_->tokens;
  parts_.push_back(*std::move(pending_));
  pending_.reset();
}

std::shared_ptr<LayerState> QuantizedCache::fork() const {
  auto other = std::make_shared<QuantizedCache>(*this);
  other->pending_.reset();
  return other;
}

int64_t QuantizedCache::bytes() const {
  int64_t bytes = 0;
  for (const Part& part : parts_) bytes += part.keys.bytes() + part.values.bytes();
  return bytes;
}

std::shared_ptr<LayerState> QuantizedCacheAttention::make_state(int64_t) const {
  return std::make_shared<QuantizedCache>(bits_);
}

void QuantizedCacheAttention::fields(FieldsIo& io) {
  io.whole("bits", bits_, {4, 8}, "of a key's or value's number: 8 or 4");
  if (bits_ != 4 && bits_ != 8) io.error("bits", fmt::format("is {}, expected 8 or 4", bits_));
}

at::Tensor QuantizedCacheAttention::attend(const Heads& heads,
                                           const AttentionContext& context) const {
  QuantizedCache own(bits_);
  AttentionContext quantized = context;
  if (!quantized.state) quantized.state = &own;
  return FullAttention().attend(heads, quantized);
}

int64_t QuantizedCacheAttention::scored_pairs(int64_t seq_len, int64_t num_heads) const {
  return FullAttention().scored_pairs(seq_len, num_heads);
}

}  // namespace longspan
