#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "src/nn/lora_dropout.h"

// What a pass over some tokens at a time needs.

namespace longspan {

/// run(begin, count) for the chunks of `tokens`, in order; chunk_tokens is above 0. Dropout knows
/// where each begins.
template <class Run>
void each_chunk(int64_t tokens, int64_t chunk_tokens, Run run) {
  for (int64_t begin = 0; begin < tokens; begin += chunk_tokens) {
    const FirstToken first(begin);
    run(begin, std::min(chunk_tokens, tokens - begin));
  }
}

/// Sums the gradients of several backward passes, what parameters had before included, in float32:
/// bfloat16 would lose what many chunks add.
class GradientSums {
 public:
  explicit GradientSums(std::vector<at::Tensor> parameters)
      : parameters_(std::move(parameters)), sums_(parameters_.size()) {
    collect();
  }

  /// Takes the gradients that are there.
  void collect() {
    for (size_t i = 0; i < parameters_.size(); ++i) {
      at::Tensor& gradient = parameters_[i].mutable_grad();
      if (!gradient.defined()) continue;
      sums_[i] = sums_[i].defined() ? sums_[i].add_(gradient) : gradient.to(at::kFloat);
      gradient.reset();
    }
  }

  /// Gives each parameter its sum as its gradient.
  void give_back() {
    for (size_t i = 0; i < parameters_.size(); ++i) {
      if (sums_[i].defined()) {
        parameters_[i].mutable_grad() = sums_[i].to(parameters_[i].scalar_type());
      }
    }
  }

 private:
  std::vector<at::Tensor> parameters_, sums_;
};

}  // namespace longspan
