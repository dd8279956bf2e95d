#pragma once

#include "trainer/eval/arms/item_tokens.h"
#include "trainer/eval/arms/reading_arm.h"

namespace longspan {

/// Reads passage, question and answer in one pass, afresh for each: for an attention that cannot go
/// on from what was read. The text is what the model would generate up to the first token that is
/// not the answer's: greedy choices depend on those before them alone.
class OnePassReading : public Reading {
 public:
  /// `arm` must outlive it.
  OnePassReading(const EvalSubject& subject, Passage passage, const ReadingArm& arm,
                 int64_t length);
  Answer ask(const Question& question) override;

 private:
  EvalSubject subject_;
  Passage passage_;
  const ReadingArm& arm_;
  int64_t length_;
};

}  // namespace longspan
