#pragma once

#include <cstddef>

namespace longspan {

/// Told by a model around the use of each decoder layer, in the order of use: forward 0, 1, 2 ...,
/// backward the other way. What may keep only the layers in use in memory.
class WeightResidency {
 public:
  virtual ~WeightResidency() = default;

  /// The frozen weights of `layer` are about to be read.
  virtual void will_use(size_t layer) = 0;
  /// They are not read again in this pass.
  virtual void used(size_t layer) = 0;
};

}  // namespace longspan
