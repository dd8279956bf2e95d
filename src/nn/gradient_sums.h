#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include <utility>
#include <vector>

namespace longspan {

/// Sums the gradients of several backward passes, what parameters had before included, in float32,
/// and rounds once: chunks then give what one pass over all tokens gives. Functions that sum over
/// tokens hand it theirs by take(), before autograd would round them to the parameter's dtype.
class GradientSums {
 public:
  explicit GradientSums(std::vector<at::Tensor> parameters)
      : parameters_(std::move(parameters)),
        sums_(parameters_.size()),
        outer_(std::exchange(current_, this)) {
    collect();
  }
  ~GradientSums() { current_ = outer_; }
  GradientSums(const GradientSums&) = delete;
  GradientSums& operator=(const GradientSums&) = delete;

  /// Whether backward passes on this thread are summed.
  static bool is_at_work() { return current_ != nullptr; }
  /// Adds a gradient, float32, to the sums at work on this thread; false where they leave the
  /// parameter out, or none are.
  static bool take(const at::Tensor& parameter, const at::Tensor& gradient) {
    if (current_ == nullptr) return false;
    for (size_t i = 0; i < current_->parameters_.size(); ++i) {
      if (!current_->parameters_[i].is_same(parameter)) continue;
      current_->add(i, gradient);
      return true;
    }
    return false;
  }

  /// Takes the gradients that are there.
  void collect() {
    for (size_t i = 0; i < parameters_.size(); ++i) {
      at::Tensor& gradient = parameters_[i].mutable_grad();
      if (!gradient.defined()) continue;
      add(i, gradient);
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
  void add(size_t i, const at::Tensor& gradient) {
    at::Tensor& sum = sums_[i];
    sum = sum.defined() ? sum.add_(gradient)
                        : gradient.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  }

  static inline thread_local GradientSums* current_ = nullptr;

  std::vector<at::Tensor> parameters_, sums_;
  GradientSums* outer_;
};

}  // namespace longspan
