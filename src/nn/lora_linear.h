#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/nn/linear.h"

namespace longspan {

/// PEFT's rule for target_modules: the name of the module, or its end behind a dot.
bool is_target(std::string_view module, std::string_view target);
/// PEFT's rule for modules_to_save: any end of the module's name ("norm" means every RMSNorm).
bool is_saved(std::string_view module, std::string_view saved);

/// PEFT's LoraConfig keys. target_modules get LoRA, modules_to_save are trained whole.
struct LoraOptions {
  int64_t r = 8;
  double lora_alpha = 16;
  double lora_dropout = 0;  // only 0 is supported by LoraLinear
  bool use_rslora = false;
  bool use_dora = false;
  std::vector<std::string> target_modules{"q_proj", "k_proj", "v_proj", "o_proj"};
  std::vector<std::string> modules_to_save{"embed_tokens", "norm"};
  /// Regular expressions for the end of a module's name with its own r or lora_alpha; the first
  /// that matches counts. One that is malformed throws Error(kModel) where it is used.
  std::vector<std::pair<std::string, int64_t>> rank_pattern{};
  std::vector<std::pair<std::string, double>> alpha_pattern{};

  bool targets(std::string_view module) const;
  bool saves(std::string_view module) const;
  /// These options with r and lora_alpha as the patterns make them for `module`.
  LoraOptions for_module(const std::string& module) const;
  /// lora_alpha / r, or lora_alpha / sqrt(r) with use_rslora.
  double scale() const;
};

/// A frozen projection plus a trained low-rank part: y = x W^T + b + scale (x A^T) B^T.
/// A [r, in_features] and B [out_features, r]; parameters lora_A.weight and lora_B.weight.
/// With use_dora also m [out_features], lora_magnitude_vector, in float32 whatever the dtype, and
/// y = (m / |V|) (x V^T) + b for V = W + scale B A, where |V| is the norm of each row, without a
/// gradient (arXiv 2402.09353, 4.3).
class LoraLinear : public Linear {
 public:
  /// Takes over weight and bias of `base`. A is drawn as PEFT draws it (Kaiming uniform with
  /// a = sqrt(5)) from LibTorch's default generator, B is zero, m is |W|; dtype is that of the
  /// weight. The patterns of `options` are not looked at: give those of for_module().
  LoraLinear(Linear& base, const LoraOptions& options);

  at::Tensor forward(const at::Tensor& x) const override;
  std::optional<LowRank> low_rank() const override { return LowRank{lora_A, lora_B, scale_}; }
  /// False with DoRA, whose magnitude turns the frozen part too.
  bool is_frozen() const override;
  /// W + scale B A, with DoRA (m / |V|) V, in float32 and rounded once.
  at::Tensor merged_weight() const override;
  void visit_parameters(const std::string& prefix, const ParameterVisitor& visit) override;

  at::Tensor lora_A, lora_B;
  at::Tensor lora_magnitude_vector;  // undefined without use_dora

 private:
  double scale_;
};

/// W + scale B A in float32, and where `magnitude` [out_features] is defined its rows scaled to
/// that norm: what LoRA and DoRA add up to. W [out_features, in_features].
at::Tensor lora_weight(const at::Tensor& weight, const at::Tensor& a, const at::Tensor& b,
                       const at::Tensor& magnitude, double scale);

/// The norms [out_features] of the rows of W + scale B A in float32, the same bits in training as
/// in merging; of W where `b` is undefined.
at::Tensor lora_row_norms(const at::Tensor& weight, const at::Tensor& a, const at::Tensor& b,
                          double scale);

}  // namespace longspan
