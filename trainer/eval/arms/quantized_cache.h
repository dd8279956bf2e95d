#pragma once

#include "src/attention/full.h"
#include "src/attention/key_value_cache.h"

namespace longspan {

/// Rotated keys and values of one layer in so few bits (quantized_numbers.h). A pass sees its own
/// as they are kept, too, so that it does not matter how a text is cut into passes. Reading makes
/// all of them whole again, for this layer. Keeps no gradients.
class QuantizedCache : public LayerState {
 public:
  explicit QuantizedCache(int64_t bits) : bits_(bits) {}

  int64_t length() const override { return codes_->length(); }
  KeysAndValues read(int64_t first_position, const at::Tensor& k, const at::Tensor& v) override;
  void commit() override;
  std::shared_ptr<LayerState> fork() const override;
  /// Of what was committed.
  int64_t bytes() const;

 private:
  int64_t bits_;
  std::shared_ptr<KeyValueCache> codes_ = std::make_shared<KeyValueCache>();
  std::shared_ptr<KeyValueCache> scales_ = std::make_shared<KeyValueCache>();
};

/// Full attention over a QuantizedCache.
class QuantizedCacheAttention : public FullAttention {
 public:
  std::string_view name() const override { return "kv_cache"; }
  std::shared_ptr<LayerState> make_state(int64_t layer) const override;
  void fields(FieldsIo& io) override;
  at::Tensor attend(const Heads& heads, const AttentionContext& context) const override;

  /// Of a number whose block has 32.
  double bits_with_scales() const { return static_cast<double>(bits_) + 16.0 / 32; }

 private:
  int64_t bits_ = 8;
};

}  // namespace longspan
