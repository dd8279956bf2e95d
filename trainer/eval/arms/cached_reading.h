#pragma once

#include "trainer/eval/arms/item_tokens.h"
#include "trainer/eval/arms/reading_arm.h"

namespace longspan {

/// Reads a passage into a ModelState and asks forks of it.
class CachedReading : public Reading {
 public:
  /// `arm` must outlive it.
  CachedReading(const EvalSubject& subject, Passage passage, const ReadingArm& arm, int64_t length);
  Answer ask(const Question& question) override;

 private:
  void read_shared(const ItemTokens& item);

  EvalSubject subject_;
  Passage passage_;
  const ReadingArm& arm_;
  int64_t length_;
  ModelState state_;
  std::vector<int64_t> read_;  // the ids that state_ holds
};

/// Asks a model that has read the prompt's ids in `state`: all of them, or fewer, at least one too
/// few. Fills in all of an answer but tokens_read, recall and passage_seconds.
Answer ask_state(const EvalSubject& subject, const ItemTokens& item, const Question& question,
                 ModelState state);

}  // namespace longspan
