#pragma once

#include "trainer/eval/arms/reducing_arm.h"

namespace longspan {

/// As much of the context as the model is at home with, the rest is cut off: what a user does
/// without any method.
class TruncateArm : public ReducingArm {
 public:
  std::string_view name() const override { return "truncate"; }
  void fields(FieldsIo& io) override;
  std::vector<TokenRange> keep(const EvalSubject& subject, const LongContext& context) override;

 private:
  std::string keep_ = "ends";  // LongBench's
};

}  // namespace longspan
