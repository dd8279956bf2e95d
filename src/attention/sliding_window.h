#pragma once

#include "src/attention/attention.h"

namespace longspan {

/// Every token sees the last `window` tokens of its document, itself included, and the document's
/// first `sinks` (StreamingLLM's attention sinks; Xiao et al. 2023, arXiv 2309.17453). Positions
/// are those of the text: keys are not turned again as StreamingLLM's rolling cache does, and the
/// cache of generation keeps all keys.
class SlidingWindowAttention : public AttentionPattern {
 public:
  std::string_view name() const override { return "sliding_window"; }
  void fields(FieldsIo& io) override;
  at::Tensor attend(const Heads& heads, const AttentionContext& context) const override;
  int64_t scored_pairs(int64_t seq_len, int64_t num_heads) const override;

 protected:
  int64_t window_ = 4096;
  int64_t sinks_ = 4;  // the paper's
};

}  // namespace longspan
