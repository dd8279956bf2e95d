#include "src/core/stopwatch.h"

#include <gtest/gtest.h>

#include <thread>

namespace longspan {
namespace {

constexpr double kPause = 0.02;

void pause() { std::this_thread::sleep_for(std::chrono::duration<double>(kPause)); }

TEST(Stopwatch, CountsSecondsFromItsMaking) {
  const Stopwatch stopwatch;
  pause();
  EXPECT_GE(stopwatch.seconds(), kPause);
  EXPECT_LT(stopwatch.seconds(), 10);
}

TEST(Stopwatch, RestartSaysTheSecondsUntilItAndCountsFromItOn) {
  Stopwatch whole, lap;
  pause();
  const double first = lap.restart();
  pause();
  const double second = lap.restart();
  EXPECT_GE(first, kPause);
  EXPECT_GE(second, kPause);
  EXPECT_LE(first + second, whole.seconds() + 1e-9);  // no second is counted twice
}

}  // namespace
}  // namespace longspan
