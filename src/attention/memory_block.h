#pragma once

#include "src/attention/layer_state.h"
#include "src/attention/mem_dtype.h"

namespace longspan {

class MemoryFile;

/// A window that is memory: its keys as they would be at position 0, and its values. Never changed,
/// so that states share it.
class MemoryBlock {
 public:
  /// In `file`, or in RAM where that is null.
  MemoryBlock(const KeysAndValues& window, MemDtype dtype, MemoryFile* file = nullptr);
  /// As stored() gave it.
  MemoryBlock(Remembered k, Remembered v, int64_t head_dim);

  int64_t tokens() const { return k_.codes.size(2); }
  /// In the dtype and on the device of `options`.
  KeysAndValues recall(const at::TensorOptions& options) const;
  /// [1, 1, tokens, D]: of one row and one key/value head, `tokens` from `begin` on.
  KeysAndValues recall(int64_t row, int64_t head, int64_t begin, int64_t tokens,
                       const at::TensorOptions& options) const;
  /// What a file holds is on the CPU, all else where the window was.
  const Remembered& stored_k() const { return k_; }
  const Remembered& stored_v() const { return v_; }

 private:
  Remembered k_, v_;
  int64_t head_dim_;
};

}  // namespace longspan
