#pragma once

#include "trainer/eval/arms/pattern_arm.h"
#include "trainer/eval/arms/quantized_cache.h"

namespace longspan {

/// The model reads all of the text with its keys and values kept in 8 or 4 bits.
class KvCacheArm : public PatternArm {
 public:
  KvCacheArm() : PatternArm(std::make_shared<QuantizedCacheAttention>()) {}

 protected:
  double bits_of_key(const CausalLm&) const override {
    return static_cast<const QuantizedCacheAttention&>(*pattern_).bits_with_scales();
  }
};

}  // namespace longspan
