#pragma once

#include <algorithm>

#include "trainer/eval/arms/reducing_arm.h"

namespace longspan {

/// The question without its context: what the model knows, or guesses. The floor of all arms.
class NoContextArm : public ReducingArm {
 public:
  std::string_view name() const override { return "no_context"; }
  std::vector<TokenRange> keep(const EvalSubject&, const LongContext&) override { return {}; }
  /// Those of a question.
  int64_t tokens_to_read(const CausalLm&, int64_t length) const override {
    return std::min<int64_t>(length, 64);
  }
  /// They and the token before them.
  int64_t tokens_of_text(const CausalLm&, int64_t length, int64_t targets) const override {
    return std::min(length, targets + 1);
  }
};

}  // namespace longspan
