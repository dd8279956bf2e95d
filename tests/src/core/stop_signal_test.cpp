#include "src/core/stop_signal.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

namespace longspan {
namespace {

TEST(StopSignal, IsRememberedAndTellsTheExitCode) {
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

TEST(StopSignal, LeavesErrnoToWhatItInterrupts) {
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
