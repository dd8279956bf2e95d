#pragma once

#include <string_view>

#include "src/core/error.h"

namespace longspan {

/// From now on SIGINT (Ctrl-C), SIGTERM and SIGHUP (a terminal that closes) are remembered, and the
/// same signal once more, but for SIGHUP, ends the process at once. The first one writes `notice`,
/// which must outlive the process, to stderr. Those that were ignored stay so.
void remember_stop_signals(std::string_view notice = {});
/// They end the process again.
void restore_stop_signals();

/// The signal that came since remember_stop_signals(), or 0.
int stop_signal();
/// What a command that was stopped by it ends with; kOk for 0.
ExitCode exit_code_of(int stop_signal);

}  // namespace longspan
