#include "src/core/stop_signal.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

namespace longspan {
namespace {

/// As a terminal starts a program; behind nohup they may be ignored.
class StopSignal : public ::testing::Test {
 protected:
  StopSignal() {
    for (const int number : {SIGHUP, SIGINT, SIGTERM}) std::signal(number, SIG_DFL);
  }
};

TEST_F(StopSignal, IsRememberedAndTellsTheExitCode) {
  for (const auto& [signal, code] : {std::pair{SIGINT, ExitCode::kInterrupted},
                                     {SIGTERM, ExitCode::kTerminated},
                                     {SIGHUP, ExitCode::kHungUp}}) {
    remember_stop_signals();
    EXPECT_EQ(stop_signal(), 0);
    raise(signal);
    EXPECT_EQ(stop_signal(), signal);
    EXPECT_EQ(exit_code_of(stop_signal()), code);
  }
  restore_stop_signals();
  EXPECT_EQ(exit_code_of(0), ExitCode::kOk);
}

/// A terminal that closes sends it twice.
TEST_F(StopSignal, OfATerminalThatClosesMayComeTwice) {
  remember_stop_signals();
  raise(SIGHUP);
  raise(SIGHUP);
  EXPECT_EQ(stop_signal(), SIGHUP);
  restore_stop_signals();
}

TEST_F(StopSignal, StaysIgnoredWhereItWas) {
  std::signal(SIGHUP, SIG_IGN);
  remember_stop_signals();
  raise(SIGHUP);
  EXPECT_EQ(stop_signal(), 0);
  restore_stop_signals();
  EXPECT_EQ(std::signal(SIGHUP, SIG_DFL), SIG_IGN);
}

TEST_F(StopSignal, LeavesErrnoToWhatItInterrupts) {
  const int terminal = dup(STDERR_FILENO);
  ASSERT_GE(terminal, 0);
  remember_stop_signals("the notice");
  close(STDERR_FILENO);  // the handler's write fails
  errno = ENOSPC;
  raise(SIGINT);
  const int left = errno;
  dup2(terminal, STDERR_FILENO);
  close(terminal);
  restore_stop_signals();
  EXPECT_EQ(left, ENOSPC);
}

}  // namespace
}  // namespace longspan
