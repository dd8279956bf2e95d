#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "src/core/error.h"

namespace longspan {

/// The message of the Error(code) that `act` throws, "no error" where it throws nothing. Another
/// code fails the test, whatever is expected of the message.
[[nodiscard]] inline std::string error_of(const std::function<void()>& act, ExitCode code) {
  try {
    act();
  } catch (const Error& e) {
    EXPECT_EQ(static_cast<int>(e.code()), static_cast<int>(code)) << e.what();
    return e.what();
  }
  return "no error";
}

}  // namespace longspan
