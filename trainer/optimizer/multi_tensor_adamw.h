#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "trainer/optimizer/adamw_update.h"

namespace longspan {

// adamw_update() and sum_of_squares() of many tensors by LibTorch's multi-tensor functions, in
// float32: on a GPU, where each call costs some microseconds and each number that is asked for a
// wait, they take a few calls in all.

/// What adamw_update() gets, with moments of 32 bits. All on one device.
struct AdamWOperands {
  at::Tensor gradient;
  AdamWMoments moments;
  at::Tensor master, parameter;
};
void multi_tensor_adamw(const AdamWStep& step, const std::vector<AdamWOperands>& weights);

/// Of all elements of all gradients, which are floating point and on one device.
double multi_tensor_sum_of_squares(const std::vector<at::Tensor>& gradients);

}  // namespace longspan
