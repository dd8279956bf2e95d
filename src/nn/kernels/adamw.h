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

/// 255 ascending bounds, to find how many of them are below a value in [-1, 1]. The first 16 bits
/// of a float (those of bfloat16) tell it but for one: no two bounds begin with the same.
struct BoundTable {
  static constexpr int kLeastBits = (127 - 24) << 7;  // of 2^-24; smaller ones count as it
  static constexpr int kBuckets = 24 * 128 + 1;       // of 2^-24 to 1

  float bounds[256];  // and infinity behind them
  // How many bounds are below all values that begin with these bits: those from 0 up, and then the
  // negative ones. Three more, for what reads four at a time.
  uint8_t below[2 * kBuckets + 3];
};

/// One of the moments in blocks of 256 codes with a scale each: map[code] * absmax.
struct BlockwiseMoment {
  static constexpr int64_t kBlock = 256;

  uint8_t* codes;
  float* absmax;
  const float* map;          // 256 values, ascending: one of bitsandbytes' dynamic maps
  const BoundTable* bounds;  // a value has the code of how many bounds are below it
};

}  // namespace longspan
