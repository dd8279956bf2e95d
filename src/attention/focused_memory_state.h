#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/attention/focused_memory_options.h"
#include "src/attention/key_value_cache.h"
#include "src/attention/layer_state.h"
#include "src/attention/memory_search.h"

namespace longspan {

/// What a layer under focused memory keeps: the keys and values of the window that is still open,
/// and in a memory layer those of all windows before it. An attend() calls begin_pass(), then
/// read(), then in a memory layer read_first(); all three may be called again.
class FocusedMemoryState : public LayerState {
 public:
  FocusedMemoryState(const FocusedMemoryOptions& options, int64_t layer);

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
  const MemoryBlocks& memory(int64_t first_position) const { return moment(first_position).memory; }
  /// Their pages, where options say to search them.
  const PageIndex& index(int64_t first_position) const { return moment(first_position).index; }

  void commit() override;
  std::shared_ptr<LayerState> fork() const override;

  /// All of it between passes, by name; and back into a state that holds nothing, of a model on
  /// `device`. What is memory stays where its tensor is. restore() throws std::out_of_range where a
  /// tensor is missing.
  std::map<std::string, at::Tensor> tensors() const;
  void restore(const std::map<std::string, at::Tensor>& tensors, at::Device device);

 private:
  struct Moment {
    ReadingWindows windows;
    std::shared_ptr<KeyValueCache> open, open_first;  // of the open window; keys of two kinds
    MemoryBlocks memory;
    PageIndex index;
  };

  const Moment& moment(int64_t first_position) const;
  void close_windows(const ReadingWindows& after);
  void remember(std::shared_ptr<const MemoryBlock> block);

  FocusedMemoryOptions options_;
  bool is_memory_layer_;
  std::shared_ptr<MemoryFile> file_;  // of mem_dir; null: RAM
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
