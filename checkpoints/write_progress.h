#pragma once

#include <cstdint>
#include <string_view>

#include "src/core/stopwatch.h"

namespace longspan {

/// How far the writing of `bytes` bytes is, for a person who waits for it.
class WriteProgress {
 public:
  explicit WriteProgress(int64_t bytes) : bytes_(bytes) {}

  void written(int64_t bytes) { written_ += bytes; }
  /// "<what>: 1.2 GiB of 4.1 GiB written, 110 MiB/s, ETA 27 s".
  void log(std::string_view what);
  /// The same, once in ten seconds.
  void log_now_and_then(std::string_view what);

 private:
  int64_t bytes_, written_ = 0;
  Stopwatch since_begin_, since_logged_;
};

}  // namespace longspan
