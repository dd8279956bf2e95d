#pragma once

#include <string>
#include <vector>

#include "src/nn/linear.h"

namespace longspan {

/// PEFT's LoraConfig keys. modules_to_save are trained whole: a parameter belongs when the name of
/// its module ends with one of them, as PEFT matches ("norm" means every RMSNorm).
struct LoraOptions {
  int64_t r = 8;
  double lora_alpha = 16;
  double lora_dropout = 0;  // only 0 is supported by LoraLinear
  bool use_rslora = false;
  std::vector<std::string> target_modules{"q_proj", "k_proj", "v_proj", "o_proj"};
  std::vector<std::string> modules_to_save{"embed_tokens", "norm"};

  /// lora_alpha / r, or lora_alpha / sqrt(r) with use_rslora.
  double scale() const;
};

/// A frozen projection plus a trained low-rank part: y = x W^T + b + scale (x A^T) B^T.
/// A [r, in_features] and B [out_features, r]; parameters lora_A.weight and lora_B.weight.
class LoraLinear : public Linear {
 public:
  /// Takes over weight and bias of `base`. A is drawn as PEFT draws it (Kaiming uniform with
  /// a = sqrt(5)) from LibTorch's default generator, B is zero; dtype is that of the weight.
  LoraLinear(Linear& base, const LoraOptions& options);

  at::Tensor forward(const at::Tensor& x) const override;
  /// W + scale B A, summed in float32 and rounded once.
  at::Tensor merged_weight() const override;
  void visit_parameters(const std::string& prefix, const ParameterVisitor& visit) override;

  at::Tensor lora_A, lora_B;

 private:
  double scale_;
};

}  // namespace longspan
