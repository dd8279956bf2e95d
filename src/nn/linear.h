#pragma once

#include <memory>
#include <optional>

#include "src/nn/module.h"

namespace longspan {

/// y = x W^T + b. W [out_features, in_features]; b [out_features] or undefined.
class Linear : public Module {
 public:
  Linear(int64_t in_features, int64_t out_features, bool bias);

  /// x [..., in_features] -> [..., out_features]
  virtual at::Tensor forward(const at::Tensor& x) const;
  /// The dense weight that computes the same, in `weight`'s dtype: what an export writes.
  virtual at::Tensor merged_weight() const { return weight; }
  void visit_parameters(const std::string& prefix, const ParameterVisitor& visit) override;

  int64_t in_features() const { return in_features_; }
  int64_t out_features() const { return out_features_; }

  at::Tensor weight, bias;

 protected:
  int64_t in_features_, out_features_;
};

}  // namespace longspan
