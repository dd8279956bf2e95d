#include "trainer/eval/loss_journal.h"

#include <utility>

#include "src/core/error.h"

namespace longspan {

LossJournal::LossJournal(std::filesystem::path path, Json identity)
    : journal_(std::move(path), std::move(identity)) {}

double LossJournal::loss_of(const Json& question, const std::function<double()>& measure) {
  const std::string key = question.dump();
  if (const Json* known = journal_.find(key)) {
    if (known->is_number()) return known->get<double>();
    fail(ExitCode::kCheckpoint, "{}: answers {} by {}, expected a loss; remove the file",
         journal_.place_of(key), key, known->dump());
  }
  const double loss = measure();
  journal_.add(key, loss);
  return loss;
}

}  // namespace longspan
