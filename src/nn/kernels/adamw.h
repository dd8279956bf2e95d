#pragma once

#include <cstdint>

namespace longspan {

/// What is the same for all elements of one update of AdamW.
struct AdamWCoefficients {
  float beta1, beta2, eps;
  float decay;                  // of the weight: 1 - lr weight_decay
  float step_size;              // lr / (1 - beta1^step)
  float bias_correction2_sqrt;  // sqrt(1 - beta2^step)
  float gradient_scale;
};

/// Contiguous arrays of one weight.
struct AdamWWeight {
  const void* gradient;  // of the type that the kernel is for
  float* master;
  uint16_t* parameter;  // gets the new master in bf16; may be null
};

/// One of the moments in blocks of 256 codes with a scale each: map[code] * absmax.
struct BlockwiseMoment {
  static constexpr int64_t kBlock = 256;

  uint8_t* codes;
  float* absmax;
  const float* map;     // 256 values, ascending: one of bitsandbytes' dynamic maps
  const float* bounds;  // 255, ascending: a value has the code of how many bounds are below it
};

}  // namespace longspan
