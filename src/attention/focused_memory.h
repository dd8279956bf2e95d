#pragma once

#include "src/attention/attention.h"
#include "src/attention/focused_memory_options.h"

namespace longspan {

class FocusedMemoryState;

/// LongLLaMA's focused memory (Tworkowski et al. 2023, arXiv 2307.03170). A text is read in
/// windows, and a token sees its own, turned by its place in it. In the memory layers it sees all
/// windows before too, under the same softmax, their keys as they would be at position 0. The
/// model's own sliding window bounds what is seen of the own window alone. With search_pages a
/// query sees of the windows before no more than the pages that a search finds (memory_search.h),
/// where the pass has a state.
///
/// A training pass whose rows are windows of documents (AttentionContext::passage_rows) is
/// cross-batch instead: see cross_batch_attention.
class FocusedMemoryAttention : public AttentionPattern {
 public:
  FocusedMemoryAttention() = default;
  explicit FocusedMemoryAttention(FocusedMemoryOptions options) : options_(std::move(options)) {}

  std::string_view name() const override { return "focused_memory"; }
  std::shared_ptr<LayerState> make_state(int64_t layer) const override;
  void fields(FieldsIo& io) override;
  at::Tensor attend(const Heads& heads, const AttentionContext& context) const override;
  /// Of a layer without memory.
  int64_t scored_pairs(int64_t seq_len, int64_t num_heads) const override;
  int64_t read_pairs(int64_t layer, int64_t seq_len, int64_t num_heads) const override;
  int64_t trained_pairs(int64_t layer, int64_t rows, int64_t seq_len,
                        int64_t num_heads) const override;
  double kept_bytes(int64_t layer, int64_t seq_len, const KeyValueForm& form) const override;
  int64_t rope_length(int64_t seq_len) const override;
  /// A query searches what earlier passes closed, and sees whole what its own pass closes: a pass
  /// ends where a window does, and one more behind the first token of the next.
  std::vector<int64_t> reading_passes(int64_t seq_len) const override;
  int64_t other_rows(int64_t layer, int64_t rows) const override;
  int64_t passage_rows() const override { return std::ssize(options_.schedule); }
  bool belongs_to_model() const override { return true; }
  std::string misfit_of_batch(int64_t rows, int64_t seq_len) const override;
  std::string misfit(int64_t num_layers, int64_t num_heads) const override;

  const FocusedMemoryOptions& options() const { return options_; }

 protected:
  /// Of turned q over the memory of a pass that begins at first_position: all, or what is found.
  AttentionResult attend_memory(const at::Tensor& q, const FocusedMemoryState& state,
                                int64_t first_position) const;

 private:
  at::Tensor attend_cross_batch(const Heads& heads, const AttentionContext& context) const;
  at::Tensor attend_windows(const Heads& heads, const AttentionContext& context) const;

  FocusedMemoryOptions options_;
};

}  // namespace longspan
