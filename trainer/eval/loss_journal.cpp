#include "trainer/eval/loss_journal.h"

#include <fmt/format.h>

#include "src/core/fields.h"
#include "trainer/eval/journal_identity.h"

namespace longspan {

LossJournal::LossJournal(std::filesystem::path path, Json identity)
    : path_(std::move(path)), identity_(std::move(identity)) {
  if (std::filesystem::exists(path_)) read();
}

void LossJournal::read() {
  Json json = read_json_file(path_, ExitCode::kCheckpoint);
  Diagnostics diagnostics(path_.string());
  Fields fields(json, diagnostics);
  Json identity;
  fields.required("identity", identity);
  for (Fields& entry : fields.children("losses")) {
    Json question;
    double loss = 0;
    entry.required("question", question);
    entry.required("loss", loss);
    losses_[question.dump()] = loss;
    entries_.push_back({{"question", question}, {"loss", loss}});
  }
  diagnostics.throw_if_any(ExitCode::kCheckpoint);
  require_same_identity(path_, identity, identity_, "the losses of another search",
                        "remove the file, or name another");
}

double LossJournal::loss_of(const Json& question, const std::function<double()>& measure) {
  std::string key = question.dump();
  if (auto found = losses_.find(key); found != losses_.end()) return found->second;
  double loss = measure();
  losses_[key] = loss;
  entries_.push_back({{"question", question}, {"loss", loss}});
  write_json_file(path_, {{"identity", identity_}, {"losses", entries_}});
  return loss;
}

}  // namespace longspan
