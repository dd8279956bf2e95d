#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "checkpoints/run_state/train_state.h"
#include "src/core/fields_io.h"
#include "trainer/optimizer/adamw_update.h"
#include "trainer/optimizer/parameter_groups.h"

namespace longspan {

class Module;

struct AdamWOptions {
  double lr = 2e-4;  // the peak; the schedule scales it
  double beta1 = 0.9, beta2 = 0.95;
  double eps = 1e-8;
  double weight_decay = 0.0;  // of matrices; norms, biases and embeddings never decay
  /// LoRA+ (Hayou et al. 2024, arXiv 2402.12354): the learning rate of every B, and as in PEFT's
  /// create_loraplus_optimizer of every vector, over that of the rest.
  double lora_plus_ratio = 1.0;
  std::vector<ParameterGroup> groups = {};  // the first that a weight is in counts
  int64_t state_bits = 32;                  // of the moments; 8: as bitsandbytes' AdamW8bit
};

/// The keys of a recipe's `optimizer` map; state_bits stands in `memory`.
void fields(FieldsIo& io, AdamWOptions& options);

/// AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2) for a model whose weights may be
/// bfloat16: of each trained parameter it keeps a float32 master copy (the parameter itself where
/// that is float32) and the moments, and rewrites the parameter from the master after each update.
class AdamW {
 public:
  struct Weight {
    std::string name;
    at::Tensor parameter;  // the model's, in the model's dtype
    at::Tensor master;     // float32
    at::Tensor gradient;   // as backward made it, or the float32 sum of several; undefined for none
    AdamWMoments moments;
    double lr_ratio = 1;  // its learning rate over that of update()
    double weight_decay = 0;
  };

  /// Takes each parameter of `model` that requires gradients. None throws Error(kRecipe).
  AdamW(Module& model, const AdamWOptions& options);

  /// Where `exact` gives the float32 values of a parameter that the model's dtype has rounded, the
  /// master begins with them.
  void begin_with(const std::function<at::Tensor(const std::string& name)>& exact);
  /// Takes the parameters' gradients over, and adds them to those of the backward passes before in
  /// float32; call after each backward.
  void accumulate_gradients();
  /// Applies to gradient_norm() and to the next update().
  void scale_gradients(double factor);
  /// Global L2 norm of the gradients, in float64; on a GPU that of each tensor in float32.
  double gradient_norm() const;
  /// One update with the gradients, which are freed. `step` counts from 1; `lr` is that of weights
  /// in no group.
  void update(int64_t step, double lr);

  const std::vector<Weight>& weights() const { return weights_; }
  /// Masters and moments; not copies.
  std::vector<TrainState::Weight> state() const;
  /// Takes over masters and moments by name, these in the run's own number of bits; the parameters
  /// follow the masters. A missing, surplus or misshapen tensor throws Error(kCheckpoint).
  void restore(const std::vector<TrainState::Weight>& saved);

 private:
  AdamWOptions options_;
  std::vector<Weight> weights_;
  double gradient_scale_ = 1;
};

}  // namespace longspan
