#pragma once

#include <functional>

#include "checkpoints/safetensors.h"

namespace longspan {

/// The tensors of a checkpoint of any kind, to be read one at a time.
struct TensorSet {
  std::vector<TensorInfo> infos;
  std::function<at::Tensor(const std::string& name)> tensor;
};

/// One tensor of two checkpoints. Values are compared where both have it in one shape. NaN differs
/// from everything, itself too, unless all bytes of the tensors are the same.
struct TensorDifference {
  std::string name;
  const TensorInfo* a = nullptr;  // null: only the other has it
  const TensorInfo* b = nullptr;
  int64_t unequal = 0;  // values that differ
  double max_abs = 0;   // largest |a - b|; NaN where there is one
  double relative = 0;  // |a - b| / |a| in the Euclidean norm; NaN where there is one
  bool same_shape() const { return a && b && a->shape == b->shape; }
  bool same_dtype() const { return a && b && a->dtype == b->dtype; }
  bool equal() const { return same_shape() && same_dtype() && unequal == 0; }
};

/// Every name of either, in the order of `a` and then of `b`. Reads a tensor of each at a time; the
/// results point into `a` and `b`. Values are compared in float64, whatever they are stored as.
std::vector<TensorDifference> diff_tensors(const TensorSet& a, const TensorSet& b);

}  // namespace longspan
