#pragma once

#include <chrono>

namespace longspan {

/// Seconds since it was made, or since the last restart(), of a clock that nobody sets.
class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

  /// Begins anew; returns the seconds until now.
  double restart() {
    const Clock::time_point now = Clock::now();
    const std::chrono::duration<double> until_now = now - start_;
    start_ = now;
    return until_now.count();
  }

 private:
  using Clock = std::chrono::steady_clock;

  Clock::time_point start_ = Clock::now();
};

}  // namespace longspan
