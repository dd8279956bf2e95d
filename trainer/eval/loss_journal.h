#pragma once

#include <filesystem>
#include <functional>

#include "trainer/eval/answer_journal.h"

namespace longspan {

/// Losses that were measured, in an AnswerJournal: what was asked before is answered from it. A
/// program whose questions depend on its own answers alone therefore goes on after a kill with the
/// same result as without.
class LossJournal {
 public:
  /// Reads `path` if it is there; `identity` and the errors are those of AnswerJournal.
  LossJournal(std::filesystem::path path, Json identity);

  /// Throws Error(kCheckpoint) where the file has something other than a number for `question`.
  double loss_of(const Json& question, const std::function<double()>& measure);
  size_t size() const { return journal_.size(); }

 private:
  AnswerJournal journal_;
};

}  // namespace longspan
