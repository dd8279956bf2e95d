#include "src/core/log.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>

namespace longspan {
namespace {

TEST(Log, TakesMessagesOfTwoThreadsWhole) {
  testing::internal::CaptureStderr();
  auto log_some = [] {
    for (int i = 0; i < 50; ++i) log_warning("of a thread");
  };
  std::thread other(log_some);
  log_some();
  other.join();
  const std::string logged = testing::internal::GetCapturedStderr();
  std::string expected;
  for (int i = 0; i < 100; ++i) expected += "warning: of a thread\n";
  EXPECT_EQ(logged, expected);
}

TEST(Log, SaysOnceWhatIsSaidOnce) {
  testing::internal::CaptureStderr();
  log_warning_once("only once");
  log_warning_once("only once");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "warning: only once\n");
}

}  // namespace
}  // namespace longspan
