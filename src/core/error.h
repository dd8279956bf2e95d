#pragma once

#include <stdexcept>
#include <string>

#include "src/core/message.h"

namespace longspan {

/// What the process returns to the shell; scripts rely on these numbers.
enum class ExitCode {
  kOk = 0,
  kFailure = 1,      // at run time, nothing below fits
  kUsage = 2,        // command line
  kRecipe = 3,       // recipe file or override
  kData = 4,         // documents, token store
  kModel = 5,        // model, adapter or tokenizer files
  kOutOfMemory = 6,  // it does not fit, or the plan says that it will not
  kNonFinite = 7,    // loss or weights became NaN or infinite
  kCheckpoint = 8,   // checkpoint does not belong to the run
  kHungUp = 129,
  kInterrupted = 130,
  kTerminated = 143,
};

/// Something the user can mend. The message says the place, the value, what was expected and what
/// to do next; it is fit for a terminal (printable_message). Our own mistakes are c10::Error or
/// std::logic_error instead.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message)
      : std::runtime_error(printable_message(message)), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

/// Throws an Error whose message is made as format_message() makes it.
template <class... Args>
[[noreturn]] void fail(ExitCode code, fmt::format_string<Args...> format, const Args&... args) {
  throw Error(code, format_message(format, args...));
}

}  // namespace longspan
