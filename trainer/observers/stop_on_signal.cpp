#include "trainer/observers/stop_on_signal.h"

#include <unistd.h>

#include <csignal>
#include <string_view>

#include "trainer/trainer.h"

namespace longspan {

namespace {

volatile std::sig_atomic_t received_signal = 0;

// Only what is async-signal-safe: a store and a write.
void remember(int signal) {
  received_signal = signal;
  constexpr std::string_view kNotice = "\nstopping after this step; once more stops at once\n";
  [[maybe_unused]] ssize_t written = write(STDERR_FILENO, kNotice.data(), kNotice.size());
}

void install(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART | (handler == SIG_DFL ? 0 : SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

void StopOnSignal::run_begins(Trainer&) {
  received_signal = 0;
  install(remember);
}

void StopOnSignal::step_ended(Trainer& trainer, StepRecord&) {
  if (received_signal != 0) trainer.stop();
}

void StopOnSignal::run_ended(Trainer&) { install(SIG_DFL); }

int StopOnSignal::received() { return received_signal; }

}  // namespace longspan
