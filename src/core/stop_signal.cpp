#include "src/core/stop_signal.h"

#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace longspan {

namespace {

struct StopSignal {
  int number;
  ExitCode exit_code;
};
constexpr StopSignal kStopSignals[] = {{SIGHUP, ExitCode::kHungUp},
                                       {SIGINT, ExitCode::kInterrupted},
                                       {SIGTERM, ExitCode::kTerminated}};

volatile std::sig_atomic_t received = 0;
std::string_view notice_on_stop;  // set while no handler is installed

// Only what is async-signal-safe. What it interrupts may be about to read errno.
void remember(int signal) {
  const int interrupted_errno = errno;
  received = signal;
  [[maybe_unused]] ssize_t written =
      write(STDERR_FILENO, notice_on_stop.data(), notice_on_stop.size());
  errno = interrupted_errno;
}

void install(void (*handler)(int)) {
  for (const auto& [number, exit_code] : kStopSignals) {
    struct sigaction action = {};
    action.sa_handler = handler;
    // Of a terminal that closes both the shell and the system send SIGHUP: the second ends nothing.
    const bool once = handler != SIG_DFL && number != SIGHUP;
    action.sa_flags = SA_RESTART | (once ? SA_RESETHAND : 0);
    struct sigaction before = {};
    sigaction(number, nullptr, &before);
    // Ignored from the start, as nohup has SIGHUP, and a shell SIGINT of what it runs behind.
    if (before.sa_handler != SIG_IGN) sigaction(number, &action, nullptr);
  }
}

}  // namespace

void remember_stop_signals(std::string_view notice) {
  received = 0;
  notice_on_stop = notice;
  install(remember);
}

void restore_stop_signals() { install(SIG_DFL); }

int stop_signal() { return received; }

ExitCode exit_code_of(int stop_signal) {
  for (const auto& [number, exit_code] : kStopSignals) {
    if (stop_signal == number) return exit_code;
  }
  return ExitCode::kOk;
}

}  // namespace longspan
