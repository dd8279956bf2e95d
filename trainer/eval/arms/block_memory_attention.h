#pragma once

#include "src/attention/attention.h"
#include "trainer/eval/arms/block_memory_state.h"

namespace longspan {

/// InfLLM's attention (Xiao et al. 2024, arXiv 2402.04617), which needs no training: each token
/// sees the first tokens, a window, and the top_k blocks of what lies between that suit it best.
/// query_tokens tokens, or the rest of a pass, look up together and see one set of blocks in all
/// heads of a layer, and a window that begins for all where it begins for the first. The blocks are
/// those that suit the query_tokens queries before them, where InfLLM asks with theirs, so that a
/// token tells those before it nothing of itself. A question, an answer and a step of generation
/// (query_tokens / 8 tokens or fewer in a pass) look up token by token, each with its own query.
///
/// With all blocks, and no far positions, this is full attention.
class BlockMemoryAttention : public AttentionPattern {
 public:
  std::string_view name() const override { return "block_memory"; }
  std::shared_ptr<LayerState> make_state(int64_t layer) const override;
  void fields(FieldsIo& io) override;
  at::Tensor attend(const Heads& heads, const AttentionContext& context) const override;
  int64_t scored_pairs(int64_t seq_len, int64_t num_heads) const override;

  /// Whether initial tokens and blocks stand where they are in the text, or all at one place right
  /// before the window, as InfLLM has them: then no distance is longer than the window.
  void set_one_far_position(bool one_far_position) { one_far_position_ = one_far_position; }

 private:
  struct Seen;

  Seen seen_from(int64_t first, int64_t sliding_window) const;
  at::Tensor attend_together(const at::Tensor& q, const AttentionContext& context, int64_t first,
                             const KeysAndValues& all, BlockMemoryState& state) const;

  BlockMemoryOptions options_;
  bool one_far_position_ = false;
};

}  // namespace longspan
