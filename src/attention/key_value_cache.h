#pragma once

#include <vector>

#include "src/attention/layer_state.h"

namespace longspan {

/// All keys and values, in memory that grows by half. A pass without gradients writes its own
/// behind those committed, so that reading all of them copies nothing. Forks share the memory: the
/// first to read on writes into it, and one that would write over another's tokens moves to a copy.
/// Forks that come and go one after the other copy nothing.
class KeyValueCache : public LayerState {
 public:
  KeyValueCache() = default;
  ~KeyValueCache() override;
  KeyValueCache(const KeyValueCache&) = delete;
  KeyValueCache& operator=(const KeyValueCache&) = delete;

  int64_t length() const override { return length_; }
  KeysAndValues read(int64_t first_position, const at::Tensor& k, const at::Tensor& v) override;
  void commit() override;
  std::shared_ptr<LayerState> fork() const override;
  /// A view of all that was committed; undefined tensors before the first token.
  KeysAndValues committed() const;

 private:
  struct Memory;

  void write(const at::Tensor& k, const at::Tensor& v);
  void share(std::shared_ptr<Memory> memory);
  void leave();

  std::shared_ptr<Memory> memory_;  // null before the first token
  int64_t length_ = 0;
  int64_t written_ = 0;    // tokens behind length_ that the last read() left
  KeysAndValues pending_;  // those of a read() with gradients, not written yet
};

}  // namespace longspan
