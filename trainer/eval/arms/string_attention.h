#pragma once

#include "src/attention/full.h"

namespace longspan {

/// STRING (An et al. 2024, arXiv 2410.18745), which needs no training: a key at distance d >= shift
/// counts as one at d - shift + local. So the long distances, which a model met seldom as it was
/// trained, are not used.
class StringAttention : public FullAttention {
 public:
  StringAttention(int64_t shift, int64_t local) : shift_(shift), local_(local) {}

  std::string_view name() const override { return "string"; }
  at::Tensor attend(const Heads& heads, const AttentionContext& context) const override;

 private:
  int64_t shift_, local_;
};

}  // namespace longspan
