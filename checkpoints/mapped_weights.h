#pragma once

#include <future>
#include <optional>
#include <vector>

#include "checkpoints/mapped_file.h"
#include "checkpoints/model_source.h"
#include "src/model/causal_lm.h"
#include "src/nn/weight_residency.h"

namespace longspan {

/// Whether the file holds the projections as `dtype` and as they are used, so that they need not be
/// copied from it. Looks at the first layer; the others are like it.
bool can_be_mapped(const ModelSource& source, at::ScalarType dtype);

/// Frozen weights that stay in their file and are read layer by layer: while one layer is in use
/// the next is read ahead by a thread, and the one before leaves memory. Forward goes up through
/// the layers and backward down; at either end the layer stays for its use after the turn. The
/// process holds one layer of weights. What is read ahead or stays cached is the system's, which
/// drops it when memory is wanted. A layer that recomputes nothing tells nobody of its backward:
/// its weights come back one by one and stay until the next forward pass.
class MappedWeights : public WeightResidency {
 public:
  /// Every frozen weight of a projection must be a view of a file, which it is when the file holds
  /// it in the dtype of the run; one that is not throws Error(kModel). Call after apply_lora.
  explicit MappedWeights(CausalLm& model);

  void will_use(size_t layer) override;
  void used(size_t layer) override;
  int64_t bytes() const;  // of all layers

 private:
  void read_ahead(size_t layer);
  void drop(size_t layer) const;

  std::vector<std::vector<MappedBytes>> layers_;
  std::optional<size_t> last_;  // the layer used last
  bool up_ = true;
  std::future<void> reading_;
};

}  // namespace longspan
