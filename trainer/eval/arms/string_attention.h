#pragma once

#include "src/attention/attention.h"

namespace longspan {

/// STRING (An et al. 2024, arXiv 2410.18745), which needs no training: a key at distance d >= shift
/// counts as one at d - shift + local. So the long distances, which a model met seldom as it was
/// trained, are not used.
class StringAttention : public AttentionPattern {
 public:
  StringAttention(int64_t shift, int64_t local) : shift_(shift), local_(local) {}

  std::string_view name() const override { return "string"; }
  void fields(FieldsIo&) override {}
  at::Tensor attend(const Heads& heads, const AttentionContext& context) const override;
  int64_t scored_pairs(int64_t seq_len, int64_t num_heads) const override;

 private:
  int64_t shift_, local_;
};

}  // namespace longspan
