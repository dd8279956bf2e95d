#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "src/nn/recompute.h"
#include "trainer/plan/pass_tensors.h"
#include "trainer/plan/run_shape.h"

namespace longspan {

/// What decides the memory of one decoder layer in a pass that trains.
struct LayerPass {
  Recompute recompute = Recompute::kNone;
  bool records_attention = true;  // false: nothing up to the layer's attention is trained
  int64_t other_rows = 0;         // AttentionPattern::other_rows
};

/// What a layer keeps from forward to backward, in bytes.
struct KeptByLayer {
  std::vector<int64_t> stored = {};  // each tensor that an ActivationStore takes, in their order
  size_t for_mlp = 0;  // the last so many are for the MLP's backward alone, and free after it
  int64_t beside = 0;  // what stays where it was made
  int64_t of_mlp = 0;  // the part of `beside` that is free before attention's backward
};

/// What the backward of each block has at its peak beside what is kept, in bytes.
struct BackwardOfLayer {
  int64_t attention = 0, mlp = 0;
};

/// Counts the tensors that src/nn/recompute.cpp, src/model/decoder.cpp, src/nn/projection.cpp and,
/// in src/attention/kernels, flash_*.cpp and joint_attention.cpp allocate, and must change with
/// them.
class LayerMemory {
 public:
  LayerMemory(const RunShape& shape, const PassTensors& tensors);

  KeptByLayer kept(const LayerPass& pass) const;
  BackwardOfLayer backward(const LayerPass& pass) const;
  /// What a layer that records nothing has at its peak, its input included. With other_rows its
  /// rows are windows of a batch, or one row is a text that is read in windows.
  int64_t forward(int64_t other_rows) const;

 private:
  int64_t graph_of_attention(int64_t other_rows) const;
  int64_t end_of_attention() const;
  int64_t end_of_mlp(const PassTensors& part) const;
  int64_t forward_of_attention(int64_t other_rows) const;
  int64_t backward_of_attention(int64_t other_rows) const;
  int64_t kept_by_mlp() const;
  int64_t recomputed_mlp() const;

  const RunShape& shape_;
  PassTensors t_;
  int64_t forward_workspace_, backward_workspace_;  // of attention
};

}  // namespace longspan
