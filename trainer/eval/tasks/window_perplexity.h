#pragma once

#include <string>
#include <vector>

#include "trainer/eval/eval_task.h"

namespace longspan {

/// Perplexity as others compute it: whole documents cut into windows. Which tokens are scored, and
/// with how much before them, changes with the length; the fixed targets of `perplexity` do not.
class WindowPerplexity : public EvalTask {
 public:
  std::string_view name() const override { return "window_perplexity"; }
  std::string_view title() const override { return "Perplexity of windows"; }
  /// protocol: of window_protocols(); stride: tokens that a window moves on by; text: documents;
  /// documents: the first so many, 0 for all; tokens: the first so many of each, 0 for all.
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
  std::string protocol_ = "chunked";
  int64_t stride_ = 256;
  std::vector<std::string> text_;
  int64_t documents_ = 0;
  int64_t tokens_ = 0;
};

}  // namespace longspan
