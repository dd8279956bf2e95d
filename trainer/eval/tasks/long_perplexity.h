#pragma once

#include <string>

#include "trainer/eval/tasks/key_tokens.h"
#include "trainer/eval/tasks/loss_task.h"

namespace longspan {

/// LongPPL (Fang et al., arXiv 2410.23771): the perplexity of key tokens, those that far context
/// makes likelier. With l_i all tokens before x_i and s_i the last of them,
///   LSD(i) = log P(x_i | l_i) - log P(x_i | s_i),  LCL(i) = log P(x_i | l_i),
/// token i is one where LSD > alpha and LCL > beta. The paper takes them from a strong model; here
/// it is the evaluated model under full attention, the same for all arms, or a file of tokens
/// chosen before.
class LongPerplexity : public LossTask {
 public:
  std::string_view name() const override { return "longppl"; }
  std::string_view title() const override { return "Perplexity of key tokens (LongPPL)"; }
  bool scores_every_token() const override { return true; }
  void fields(FieldsIo& io) override;
  void check(const EvalOptions& options) const override;

 protected:
  TaskResult score(const EvalSubject& subject, Material& material) const override;
  LossWords words(const LossRow& row) const override;

 private:
  struct KeyTokenLoss;

  KeyTokenLoss loss_at(int64_t length, const EvalSubject& subject, const Material& material,
                       KeyTokenFile& file) const;

  int64_t short_ = 1024;
  int64_t block_ = 256;
  double alpha_ = 2;
  double beta_ = -2;
  std::string key_tokens_;
};

}  // namespace longspan
