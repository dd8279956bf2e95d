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

/// One of the moments in blocks of 256 codes with a scale each: map[code] * absmax.
struct BlockwiseMoment {
  static constexpr int64_t kBlock = 256;

  uint8_t* codes;
  float* absmax;
  const float* map;     // 256 values, ascending: one of bitsandbytes' dynamic maps
  const float* bounds;  // 257: code i stands for (bounds[i], bounds[i + 1]]
  bool has_sign;
};

namespace bf16 {

// One pass each over contiguous arrays, with float32 arithmetic; no tensors, no threads. Gradient
// is float, or uint16_t for bf16. `parameter` gets the new master in bf16, and may be null.

template <class Gradient>
void adamw_update(const AdamWCoefficients& coefficients, const Gradient* gradient, int64_t count,
                  float* exp_avg, float* exp_avg_sq, float* master, uint16_t* parameter);

/// `count` may end in a block that is not full.
template <class Gradient>
void adamw_update(const AdamWCoefficients& coefficients, const Gradient* gradient, int64_t count,
                  const BlockwiseMoment& exp_avg, const BlockwiseMoment& exp_avg_sq, float* master,
                  uint16_t* parameter);

template <class Gradient>
double sum_of_squares(const Gradient* gradient, int64_t count);

}  // namespace bf16
}  // namespace longspan
