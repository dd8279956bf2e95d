#pragma once

#include "trainer/eval/arms/arm.h"

namespace longspan {

/// Base of the arms by which the model reads the whole text. A passage is read once, its keys and
/// values are kept, and every question goes on from a fork of them. Where the attention follows
/// from the length of the whole (shifted_sparse) every question is read with its passage, and what
/// it generates is known up to the first token that differs from the answer.
class ReadingArm : public Arm {
 public:
  std::vector<double> target_nll(const EvalSubject& subject, const std::vector<int64_t>& ids,
                                 int64_t targets) override;
  std::unique_ptr<Reading> read_passage(const EvalSubject& subject, const Passage& passage,
                                        int64_t length) override;

  double flops(CausalLm& model, int64_t length, int64_t tokens_read) const override;
  int64_t kv_bytes(CausalLm& model, int64_t tokens_read) const override;

  /// Makes of the model what reads by this arm, for a sequence of `length` tokens.
  virtual void change(CausalLm& model, int64_t length) const { (void)model, (void)length; }

 protected:
  /// Bits in which a number of a key or value is kept.
  virtual double bits_of_key(const CausalLm& model) const;
};

}  // namespace longspan
