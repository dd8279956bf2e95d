#include "trainer/eval/arms/quantized_cache.h"

#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include "trainer/eval/arms/quantized_numbers.h"

namespace longspan {

namespace {

std::shared_ptr<KeyValueCache> forked(const KeyValueCache& cache) {
  return std::static_pointer_cast<KeyValueCache>(cache.fork());
}

}  // namespace

KeysAndValues QuantizedCache::read(int64_t first_position, const at::Tensor& k,
                                   const at::Tensor& v) {
  const at::NoGradGuard no_gradients;
  const QuantizedNumbers keys = quantize_numbers(k, bits_), values = quantize_numbers(v, bits_);
  const KeysAndValues codes = codes_->read(first_position, keys.codes, values.codes);
  const KeysAndValues scales = scales_->read(first_position, keys.scales, values.scales);
  return {dequantize_numbers({codes.k, scales.k}, bits_, k.scalar_type()),
          dequantize_numbers({codes.v, scales.v}, bits_, v.scalar_type())};
}

void QuantizedCache::commit() {
  codes_->commit();
  scales_->commit();
}

std::shared_ptr<LayerState> QuantizedCache::fork() const {
  auto other = std::make_shared<QuantizedCache>(bits_);
  other->codes_ = forked(*codes_);
  other->scales_ = forked(*scales_);
  return other;
}

int64_t QuantizedCache::bytes() const {
  if (length() == 0) return 0;
  const KeysAndValues codes = codes_->committed(), scales = scales_->committed();
  return QuantizedNumbers{codes.k, scales.k}.bytes() + QuantizedNumbers{codes.v, scales.v}.bytes();
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
  return FullAttention::attend(heads, quantized);
}

}  // namespace longspan
