#include "checkpoints/write_progress.h"

#include <algorithm>

#include "src/core/log.h"
#include "src/core/text.h"

namespace longspan {

void WriteProgress::log(std::string_view what) {
  logged_ = Clock::now();
  std::chrono::duration<double> elapsed = logged_ - begin_;
  double rate = static_cast<double>(written_) / std::max(elapsed.count(), 1e-3);
  log_info(fmt::format("{}: {} of {} written, {}/s, ETA {}", what, human_bytes(written_),
                       human_bytes(bytes_), human_bytes(rate),
                       human_duration(double(bytes_ - written_) / std::max(rate, 1.0))));
}

void WriteProgress::log_now_and_then(std::string_view what) {
  if (Clock::now() - logged_ >= std::chrono::seconds(10)) log(what);
}

}  // namespace longspan
