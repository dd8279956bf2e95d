#pragma once

#include <string>
#include <vector>

#include "trainer/eval/eval_task.h"

namespace longspan {

/// LongPPL (Fang et al., arXiv 2410.23771): the perplexity of key tokens, those that far context
/// makes likelier. With l_i all tokens before x_i and s_i the last of them,
///   LSD(i) = log P(x_i | l_i) - log P(x_i | s_i),  LCL(i) = log P(x_i | l_i),
/// token i is one where LSD > alpha and LCL > beta. The paper takes them from a strong model; here
/// it is the evaluated model under full attention, or a file of tokens chosen before.
class LongPerplexity : public EvalTask {
 public:
  std::string_view name() const override { return "longppl"; }
  std::string_view title() const override { return "Perplexity of key tokens (LongPPL)"; }
  /// text: documents; documents: the first so many that have the longest length, 0 for all; short:
  /// tokens of s_i, at least; block: s_i begins anew each so many tokens, and has up to short +
  /// block; alpha; beta; key_tokens: a file of them, written where it is missing, so that other
  /// models are scored on the same.
  void read(Fields& fields) override;
  Json write() const override;
  std::vector<std::filesystem::path> inputs() const override;
  void check(const EvalOptions& options) const override;
  bool scores_plain_text() const override { return true; }
  TaskResult run(const EvalSubject& subject, const EvalOptions& options) const override;
  void check_rows(const Json& rows, Diagnostics& diagnostics) const override;
  std::vector<Table> tables(const std::vector<LabelledRows>& models,
                            size_t reference) const override;
  std::vector<Figure> figures(const std::vector<LabelledRows>& models) const override;

 private:
  std::vector<std::string> text_;
  int64_t documents_ = 0;
  int64_t short_ = 1024;
  int64_t block_ = 256;
  double alpha_ = 2;
  double beta_ = -2;
  std::string key_tokens_;
};

}  // namespace longspan
