#include "trainer/observers/metrics.h"

#include <cerrno>
#include <cstring>

#include "src/core/atomic_file.h"
#include "src/core/json.h"
#include "src/core/text.h"
#include "trainer/trainer.h"

namespace longspan {

namespace {

Json to_json(const StepRecord& record) {
  Json json = {{"step", record.step},
               {"loss", record.loss},
               {"lr", record.lr},
               {"grad_norm", record.grad_norm},
               {"tokens", record.tokens},
               {"total_tokens", record.total_tokens},
               {"step_seconds", record.step_seconds},
               {"tokens_per_second", record.tokens_per_second()},
               {"device", record.device},
               {"peak_memory_bytes", record.peak_memory_bytes},
               {"stage", record.stage},
               {"seq_len", record.seq_len},
               {"attention", record.attention}};
  if (record.weighted_loss) json["weighted_loss"] = *record.weighted_loss;
  if (record.validation_loss) json["validation_loss"] = *record.validation_loss;
  return json;
}

/// Keeps the whole lines of steps up to `step`.
void cut_after(const std::filesystem::path& path, int64_t step) {
  AtomicFile kept(path);
  for (const auto& line : split(read_file(path, ExitCode::kFailure), '\n')) {
    Json record = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    const Json number = record.is_object() ? record.value("step", Json()) : Json();
    if (number.is_number_integer() && number <= step) kept.write(line + "\n");
  }
  kept.commit();
}

}  // namespace

Metrics::~Metrics() {
  if (file_) std::fclose(file_);
}

void Metrics::run_begins(Trainer& trainer) {
  if (std::filesystem::exists(path_)) cut_after(path_, trainer.step());
  file_ = std::fopen(path_.c_str(), "ae");
  if (!file_)
    fail(ExitCode::kFailure, "{}: cannot write: {}", path_.string(), std::strerror(errno));
}

void Metrics::step_ended(Trainer&, StepRecord& record) {
  std::string line = to_json(record).dump() + "\n";
  if (std::fwrite(line.data(), 1, line.size(), file_) != line.size() || std::fflush(file_) != 0) {
    fail(ExitCode::kFailure, "{}: cannot write: {}; free some disk space and go on with --resume",
         path_.string(), std::strerror(errno));
  }
}

}  // namespace longspan
