#pragma once

#include <optional>

#include "src/attention/attention.h"

namespace longspan {

/// LongLoRA's shifted sparse attention (S2-Attn; Chen et al. 2023, arXiv 2309.12307), as its flash
/// path has it: heads 0 .. H/2 - 1 attend within groups of G tokens, the others within groups that
/// are shifted by half a group, G/2, G, ..., G, and what is left. No group wraps around from the
/// end to the start, so no token sees a later one. The last group may be short: any length works.
/// The key `layers` names the layers that attend so; without it all do. The others attend in full.
/// In a layer in groups the first `full_heads` query heads attend in full too: H are those behind
/// them.
class ShiftedSparseAttention : public AttentionPattern {
 public:
  std::string_view name() const override { return "shifted_sparse"; }
  /// It trains and scores whole sequences: the groups follow from their length. Who reads one of a
  /// known length in several passes (AttentionContext::sequence_length) may bring states.
  std::shared_ptr<LayerState> make_state(int64_t) const override { return nullptr; }
  void fields(FieldsIo& io) override;
  at::Tensor attend(const Heads& heads, const AttentionContext& context) const override;
  std::string misfit(int64_t num_layers, int64_t num_heads) const override;
  /// "shifted_sparse in 6 of 9 heads of 20 of 30 layers".
  std::string describe(int64_t num_layers, int64_t num_heads) const override;
  /// Of a layer in groups.
  int64_t scored_pairs(int64_t seq_len, int64_t num_heads) const override;
  int64_t read_pairs(int64_t layer, int64_t seq_len, int64_t num_heads) const override;

  int64_t group_size(int64_t seq_len) const;

 private:
  bool has_groups(int64_t layer) const;
  /// How many of a model's query heads attend in groups, in the layers that do.
  int64_t heads_in_groups(int64_t num_heads) const;

  int64_t group_size_ = 0;                           // 0: as group_ratio_ says
  double group_ratio_ = 0.25;                        // LongLoRA's
  std::optional<std::vector<int64_t>> layers_ = {};  // in groups; none: all
  int64_t full_heads_ = 0;                           // of each layer in groups
};

}  // namespace longspan
