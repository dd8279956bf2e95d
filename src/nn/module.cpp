#include "src/nn/module.h"

#include <ATen/ops/empty.h>

namespace longspan {

at::Tensor unloaded_parameter(at::IntArrayRef shape) {
  return at::empty(shape, at::TensorOptions().device(at::kMeta).dtype(at::kFloat));
}

}  // namespace longspan
