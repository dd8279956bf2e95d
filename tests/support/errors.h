#pragma once

#include <functional>
#include <string>

#include "src/core/error.h"

namespace longspan {

/// The message of the Error(code) that `act` throws; "code N: <message>" where it has another code,
/// "no error" where nothing is thrown.
inline std::string error_of(const std::function<void()>& act, ExitCode code) {
  try {
    act();
  } catch (const Error& e) {
    return e.code() == code ? e.what() : fmt::format("code {}: {}", int(e.code()), e.what());
  }
  return "no error";
}

}  // namespace longspan
