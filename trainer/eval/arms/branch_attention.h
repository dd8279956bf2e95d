#pragma once

#include "src/model/causal_lm.h"

namespace longspan {

/// Attention of a batch whose rows all go on from one text that was read before, each in its own
/// way. Row after row continues a fork of the layer's state, which it leaves as it was, by the
/// pattern that made it: so any pattern will do, and nothing that the state keeps is copied. Of
/// what pads a row nothing is read.
class BranchAttention : public AttentionPattern {
 public:
  /// `read` holds the state of every layer, and must outlive this; `lengths` are those of the rows.
  BranchAttention(std::shared_ptr<const AttentionPattern> pattern, const ModelState& read,
                  std::vector<int64_t> lengths)
      : pattern_(std::move(pattern)), read_(read), lengths_(std::move(lengths)) {}

  std::string_view name() const override { return pattern_->name(); }
  void fields(FieldsIo&) override {}
  at::Tensor attend(const Heads& heads, const AttentionContext& context) const override;
  int64_t rope_length(int64_t seq_len) const override { return pattern_->rope_length(seq_len); }
  int64_t scored_pairs(int64_t seq_len, int64_t num_heads) const override {
    return pattern_->scored_pairs(seq_len, num_heads);
  }

 private:
  std::shared_ptr<const AttentionPattern> pattern_;
  const ModelState& read_;
  std::vector<int64_t> lengths_;
};

/// ids [B, T] int64 as B branches of what `state` holds, which stays as it is; row b has lengths[b]
/// tokens, from 1 to T, and any ids behind them. Projections and MLPs see all rows at once,
/// attention each for itself. -> [B, T, hidden_size], of each row's tokens what hidden_states() of
/// them and a fork of the state gives.
at::Tensor branch_hidden_states(CausalLm& model, const at::Tensor& ids,
                                const std::vector<int64_t>& lengths, const ModelState& state);

}  // namespace longspan
