#pragma once

#include "trainer/eval/arms/item_tokens.h"
#include "trainer/eval/arms/reading_arm.h"

namespace longspan {

/// A model that has read what many prompts begin with; each question goes on from a fork of its
/// state.
class PromptReader {
 public:
  /// Reads anew where the prompt does not go on from what was read.
  Answer ask(const EvalSubject& subject, const ItemTokens& item, int64_t max_new_tokens);

 private:
  void read_shared(CausalLm& model, const ItemTokens& item);

  ModelState state_;
  std::vector<int64_t> read_;  // the ids that state_ holds
};

/// A passage that the arm's model reads whole.
class CachedReading : public Reading {
 public:
  /// `arm` must outlive it.
  CachedReading(const EvalSubject& subject, Passage passage, const ReadingArm& arm, int64_t length);
  Answer ask(const Question& question) override;

 private:
  EvalSubject subject_;
  Passage passage_;
  const ReadingArm& arm_;
  int64_t length_;
  PromptReader reader_;
};

}  // namespace longspan
