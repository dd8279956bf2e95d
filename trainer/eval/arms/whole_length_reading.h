#pragma once

#include "trainer/eval/arms/item_tokens.h"
#include "trainer/eval/arms/reading_arm.h"

namespace longspan {

/// Reads passage and question for the length that they have with the answer, and afresh for every
/// answer of another length: for an attention that depends on the length of the whole, as
/// shifted_sparse does. The text is what the model would generate up to the first token that is not
/// the answer's: greedy choices depend on those before them alone.
class WholeLengthReading : public Reading {
 public:
  /// `arm` must outlive it.
  WholeLengthReading(const EvalSubject& subject, Passage passage, const ReadingArm& arm,
                     int64_t length);
  Answer ask(const Question& question) override;

 private:
  EvalSubject subject_;
  Passage passage_;
  const ReadingArm& arm_;
  int64_t length_;
};

}  // namespace longspan
