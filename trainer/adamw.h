#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace longspan {

class Module;

struct AdamWOptions {
  double lr = 2e-4;  // the peak; the schedule scales it
  double beta1 = 0.9, beta2 = 0.95;
  double eps = 1e-8;
  double weight_decay = 0.0;  // of matrices; norms, biases and embeddings never decay
};

/// AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2) for a model whose weights may be
/// bfloat16: of each trained parameter it keeps a float32 master copy, float32 moments and a
/// float32 sum of gradients, and rewrites the parameter from the master after each update.
class AdamW {
 public:
  struct Weight {
    std::string name;
    at::Tensor parameter;                              // the model's, in the model's dtype
    at::Tensor master, gradient, exp_avg, exp_avg_sq;  // float32
    bool decays = true;
  };

  /// Takes each parameter of `model` that requires gradients. None throws Error(kRecipe).
  AdamW(Module& model, const AdamWOptions& options);

  /// Adds the parameters' gradients to the float32 sums and frees them; call after each backward.
  void accumulate_gradients();
  void scale_gradients(double factor);
  /// Global L2 norm of the gradient sums, in float64.
  double gradient_norm() const;
  /// One update with the gradient sums, which become zero. `step` counts from 1.
  void update(int64_t step, double lr);

  const std::vector<Weight>& weights() const { return weights_; }
  /// Takes over masters and moments by name; the parameters follow the masters. A missing, surplus
  /// or misshapen tensor throws Error(kCheckpoint).
  struct Saved {
    at::Tensor master, exp_avg, exp_avg_sq;
  };
  void restore(const std::map<std::string, Saved>& saved);

 private:
  AdamWOptions options_;
  std::vector<Weight> weights_;
};

}  // namespace longspan
