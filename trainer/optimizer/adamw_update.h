#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace longspan {

/// AdamW's running means of the gradient and of its square, of the weight's shape: float32, or
/// codes (uint8) into the dynamic maps of bitsandbytes in blocks of 256, each with its largest
/// magnitude as scale (Dettmers et al. 2022, arXiv 2110.02861). One departure from bitsandbytes: a
/// second moment above 0 never becomes 0, where the next update would divide by eps alone.
struct AdamWMoments {
  static constexpr int64_t kBlock = 256;
  static constexpr int64_t kSmallest8bit = 4096;  // weights with fewer elements stay in float32

  at::Tensor exp_avg, exp_avg_sq;
  at::Tensor exp_avg_absmax = {}, exp_avg_sq_absmax = {};  // float32, one a block; for codes only

  bool in_8bit() const { return exp_avg_absmax.defined(); }
};

/// Zeros for `weight`; `state_bits` is 32 or 8.
AdamWMoments zero_moments(const at::Tensor& weight, int64_t state_bits);

/// `from` in the form of `to`, which is made for the same weight: the one in 8 bits, the other not.
void convert_moments(const AdamWMoments& from, const AdamWMoments& to);

struct AdamWStep {
  int64_t step = 1;  // counts from 1
  double lr = 0, beta1 = 0, beta2 = 0, eps = 0, weight_decay = 0;
  double gradient_scale = 1;
};

/// One update, in one pass where the processor has AVX2 and all is contiguous float32 or bfloat16.
/// `master` is float32; `parameter`, of any dtype, becomes its rounding, and may be `master`
/// itself.
void adamw_update(const AdamWStep& step, const at::Tensor& gradient, const AdamWMoments& moments,
                  const at::Tensor& master, const at::Tensor& parameter);

/// Of all elements, in float64; the same for any number of threads.
double sum_of_squares(const at::Tensor& gradient);

}  // namespace longspan
