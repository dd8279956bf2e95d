#pragma once

#include "src/attention/attention.h"

namespace longspan {

/// Every token sees all tokens of its document up to itself.
class FullAttention : public AttentionPattern {
 public:
  std::string_view name() const override { return "full"; }
  void fields(FieldsIo&) override {}
  at::Tensor attend(const Heads& heads, const AttentionContext& context) const override;
  int64_t scored_pairs(int64_t seq_len, int64_t num_heads) const override {
    return num_heads * (seq_len * (seq_len + 1) / 2);
  }
};

}  // namespace longspan
