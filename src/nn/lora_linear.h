#pragma once

#include "src/nn/linear.h"
#include "src/nn/lora_dropout.h"
#include "src/nn/lora_options.h"

namespace longspan {

/// A frozen projection plus a trained low-rank part: y = x W^T + b + scale (D(x) A^T) B^T, where D
/// is lora_dropout in training and else nothing. A [r, in_features] and B [out_features, r];
/// parameters lora_A.weight and lora_B.weight. With use_dora also m [out_features],
/// lora_magnitude_vector, in float32 whatever the dtype, and y = (m / |V|) (D(x) V^T) +
/// (x - D(x)) W^T + b for V = W + scale B A, where |V| is the norm of each row, without a gradient
/// (arXiv 2402.09353, 4.3; PEFT 0.21's dora.py).
class LoraLinear : public Linear {
 public:
  /// Takes over weight and bias of `base`. A is drawn as PEFT draws it (Kaiming uniform with
  /// a = sqrt(5)) from LibTorch's default generator, B is zero, m is |W|; dtype is that of the
  /// weight. The patterns of `options` are not looked at: give those of for_module(). `projection`
  /// tells its dropout from that of others.
  LoraLinear(Linear& base, const LoraOptions& options, uint64_t projection = 0);

  at::Tensor forward(const at::Tensor& x) const override;
  /// Without dropout under DoRA, of which it takes an input already dropped.
  std::optional<LowRank> low_rank() const override;
  /// False with DoRA, whose magnitude turns the frozen part too.
  bool is_frozen() const override;
  /// W + scale B A, with DoRA (m / |V|) V, in float32 and rounded once.
  at::Tensor merged_weight() const override;
  void visit_parameters(const std::string& prefix, const ParameterVisitor& visit) override;

  at::Tensor lora_A, lora_B;
  at::Tensor lora_magnitude_vector;  // undefined without use_dora

 private:
  /// D(x), or x where nothing is dropped.
  at::Tensor dropped(const at::Tensor& x) const;

  double scale_;
  std::optional<LoraDropout> dropout_;
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
