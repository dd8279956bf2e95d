#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

namespace longspan {

/// Of the tokens of one pass or of several, in their order.
struct KeysAndValues {
  at::Tensor k, v;  // [B, Hkv, T, D]
};

/// What one layer keeps of the tokens that earlier passes read. A pass reads it as often as it
/// likes, then commits once: a layer that is recomputed attends twice.
class LayerState {
 public:
  virtual ~LayerState() = default;

  /// The tokens committed so far.
  virtual int64_t length() const = 0;
  /// k, v [B, Hkv, T, D] of the pass whose first token is at `first_position`, as the pattern wants
  /// them kept: the keys and values of all tokens up to the last of them. Gradients reach k and v,
  /// not what earlier passes left. The same call gives the same after commit() too. Without
  /// gradients the result may be a view that lasts until the next read() or commit() of this state
  /// or of a fork. Throws std::logic_error where first_position is beyond length().
  virtual KeysAndValues read(int64_t first_position, const at::Tensor& k, const at::Tensor& v) = 0;
  /// Keeps the keys and values of the last read() that began at length().
  virtual void commit() = 0;
  /// A state that goes its own way from here; nothing is copied before both of them read on. Not
  /// for two threads at once.
  virtual std::shared_ptr<LayerState> fork() const = 0;
};

}  // namespace longspan
