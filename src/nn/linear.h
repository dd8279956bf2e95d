#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "src/nn/module.h"
#include "src/nn/projection.h"
#include "src/nn/quantized_weight.h"

namespace longspan {

/// y = x W^T + b. W [out_features, in_features], dense in `weight` or, when that is undefined, in
/// `quantized`; b [out_features] or undefined.
class Linear : public Module {
 public:
  Linear(int64_t in_features, int64_t out_features, bool bias);

  /// x [..., in_features] -> [..., out_features]
  virtual at::Tensor forward(const at::Tensor& x) const;
  /// The dense weight that computes the same, in its own dtype: what an export writes.
  virtual at::Tensor merged_weight() const { return dense_weight(); }
  /// W, dense. A quantised one is written to memory that the thread's next call for a quantised
  /// weight uses again.
  at::Tensor dense_weight() const;
  at::ScalarType dtype() const;
  /// The low-rank part beside the weight, if there is one.
  virtual std::optional<LowRank> low_rank() const { return std::nullopt; }
  /// Whether weight and bias are not trained.
  bool keeps_its_weight() const;
  /// Whether nothing but the low-rank part is trained: project() takes it then.
  virtual bool is_frozen() const;
  void visit_parameters(const std::string& prefix, const ParameterVisitor& visit) override;

  int64_t in_features() const { return in_features_; }
  int64_t out_features() const { return out_features_; }

  at::Tensor weight, bias;
  std::shared_ptr<const QuantizedWeight> quantized;

 protected:
  int64_t in_features_, out_features_;
};

}  // namespace longspan
