#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "src/attention/key_value_cache.h"
#include "src/attention/layer_state.h"
#include "src/attention/mem_dtype.h"
#include "src/attention/reading_windows.h"

namespace longspan {

/// A window that is memory: its keys as they would be at position 0, and its values. Never changed,
/// so that states share it.
class MemoryBlock {
 public:
  MemoryBlock(const KeysAndValues& window, MemDtype dtype);

  int64_t tokens() const { return k_.codes.size(2); }
  KeysAndValues recall(at::ScalarType dtype) const;

 private:
  Remembered k_, v_;
  int64_t head_dim_;
};

/// What a layer under focused memory keeps: the keys and values of the window that is still open,
/// and in a memory layer those of all windows before it. An attend() calls begin_pass(), then
/// read(), then in a memory layer read_first(); all three may be called again.
class FocusedMemoryState : public LayerState {
 public:
  FocusedMemoryState(const WindowLengths& lengths, bool is_memory_layer, MemDtype dtype);

  int64_t length() const override { return now_.windows.length(); }
  /// -> where the window of each of the pass's tokens begins.
  std::vector<int64_t> begin_pass(int64_t first_position, int64_t tokens, int64_t sequence_length);
  /// The first position whose key read() gives: the begin of the window open before the pass.
  int64_t first_key(int64_t first_position) const;
  /// k as it was turned at its place in its window. -> that of the open window and of the pass.
  KeysAndValues read(int64_t first_position, const at::Tensor& k, const at::Tensor& v) override;
  /// The same with k as it would be at position 0.
  KeysAndValues read_first(int64_t first_position, const at::Tensor& first_k, const at::Tensor& v);
  /// The windows before first_key(), in order.
  const std::vector<std::shared_ptr<const MemoryBlock>>& memory(int64_t first_position) const;

  void commit() override;
  std::shared_ptr<LayerState> fork() const override;

 private:
  struct Moment {
    ReadingWindows windows;
    std::shared_ptr<KeyValueCache> open, open_first;  // of the open window; keys of two kinds
    std::vector<std::shared_ptr<const MemoryBlock>> memory;
  };

  const Moment& moment(int64_t first_position) const;
  void close_windows(const ReadingWindows& after);

  bool is_memory_layer_;
  MemDtype dtype_;
  Moment now_;
  std::optional<Moment> before_;  // the last pass, where it had gradients: it may be read again
  struct Pass {
    ReadingWindows windows;
    std::vector<int64_t> begins;
    KeysAndValues open, open_first;  // what the two reads gave
    bool has_gradients = false;
  };
  std::optional<Pass> pass_;  // read and not committed
};

}  // namespace longspan
