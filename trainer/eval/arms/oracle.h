#pragma once

#include <algorithm>

#include "trainer/eval/arms/reducing_arm.h"

namespace longspan {

/// The evidence alone: what the model could say if nothing had to be found. The ceiling of all that
/// search. Where a task names no evidence it is the lines that hold an answer.
class OracleArm : public ReducingArm {
 public:
  std::string_view name() const override { return "oracle"; }
  bool reads_plain_text() const override { return false; }
  bool needs_evidence() const override { return true; }
  std::vector<TokenRange> keep(const EvalSubject& subject, const LongContext& context) override;
  /// Those of a question and its evidence.
  int64_t tokens_to_read(const CausalLm&, int64_t length) const override {
    return std::min<int64_t>(length, 256);
  }
};

}  // namespace longspan
