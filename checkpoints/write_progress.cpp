#include "checkpoints/write_progress.h"

#include <algorithm>

#include "src/core/log.h"
#include "src/core/text.h"

namespace longspan {

void WriteProgress::log(std::string_view what) {
  since_logged_.restart();
  double rate = static_cast<double>(written_) / std::max(since_begin_.seconds(), 1e-3);
  log_info("{}: {} of {} written, {}/s, ETA {}", what, human_bytes(written_), human_bytes(bytes_),
           human_bytes(rate), human_duration(double(bytes_ - written_) / std::max(rate, 1.0)));
}

void WriteProgress::log_now_and_then(std::string_view what) {
  if (since_logged_.seconds() >= 10) log(what);
}

}  // namespace longspan
