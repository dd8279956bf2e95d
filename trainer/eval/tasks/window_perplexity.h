#pragma once

#include <string>

#include "trainer/eval/tasks/loss_task.h"

namespace longspan {

/// Perplexity as others compute it: whole documents cut into windows. Which tokens are scored, and
/// with how much before them, changes with the length; the fixed targets of `perplexity` do not.
class WindowPerplexity : public LossTask {
 public:
  std::string_view name() const override { return "window_perplexity"; }
  std::string_view title() const override { return "Perplexity of windows"; }
  bool scores_every_token() const override { return true; }
  void fields(FieldsIo& io) override;
  void check(const EvalOptions& options) const override;
  /// Under the name of the protocol, which each row has.
  std::vector<Table> tables(const std::vector<LabelledRows>& models,
                            size_t reference) const override;

 protected:
  Extent extent(int64_t longest, int64_t bos) const override;
  TaskResult score(const EvalSubject& subject, Material& material) const override;
  bool takes_bos() const override;
  LossWords words(const LossRow& row) const override;

 private:
  std::string protocol_ = "chunked";
  int64_t stride_ = 256;
  int64_t tokens_ = 0;
};

}  // namespace longspan
