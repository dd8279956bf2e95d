#pragma once

#include "src/attention/key_value_cache.h"
#include "src/core/fields_io.h"

namespace longspan {

struct BlockMemoryOptions {
  int64_t initial_tokens = 128;
  int64_t window_tokens = 4096;
  int64_t block_tokens = 128;
  int64_t top_k = 16;
  int64_t representatives = 4;
  int64_t query_tokens = 512;
};
void fields(FieldsIo& io, BlockMemoryOptions& options);

/// What a layer keeps for InfLLM's block memory: all keys and values, not rotated, and of each
/// block that the window has left the sum of its representative keys. Without gradients, one row.
///
/// Blocks of block_tokens follow one another after the initial tokens. The representatives of a
/// block are the keys that the queries of the window behind it would look at most: those with the
/// largest product with the sum of these queries (formula 3 of arXiv 2402.04617, before rotation
/// and over all heads, the window counted in whole blocks).
class BlockMemoryState : public LayerState {
 public:
  explicit BlockMemoryState(const BlockMemoryOptions& options) : options_(options) {}

  int64_t length() const override { return cache_->length(); }
  KeysAndValues read(int64_t first_position, const at::Tensor& k, const at::Tensor& v) override;
  void commit() override;
  std::shared_ptr<LayerState> fork() const override;

  /// q [1, Hkv, T, D]: the queries of the pass after read(), those of a key's heads summed.
  void note_queries(int64_t first_position, const at::Tensor& q);
  /// [Hkv, D]: the sum of the queries noted of the query_tokens tokens before `position`, a place
  /// in the pass and not 0.
  at::Tensor queries_before(int64_t position) const;
  /// How well each of the first `blocks` suits query [Hkv, D]: its product with the block's
  /// representatives, [blocks] float32. keys [1, Hkv, Tk, D] are those of read(); the queries of
  /// the window behind the last of the blocks must have been noted.
  at::Tensor relevance(const at::Tensor& query, int64_t blocks, const at::Tensor& keys);

 private:
  void represent(int64_t blocks, const at::Tensor& keys);

  BlockMemoryOptions options_;
  std::shared_ptr<LayerState> cache_ = std::make_shared<KeyValueCache>();
  at::Tensor query_sums_;       // [blocks, Hkv, D] float32, of the tokens committed
  at::Tensor pending_sums_;     // and of those of this pass
  at::Tensor last_queries_;     // [Hkv, T, D], of the last query_tokens tokens committed
  at::Tensor pending_queries_;  // and behind them those of this pass
  int64_t noted_ = 0;           // tokens, the last of pending_queries_ among them
  at::Tensor representatives_;  // [blocks, Hkv * D] float32
};

}  // namespace longspan
