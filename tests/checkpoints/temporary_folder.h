#pragma once

#include <functional>
#include <string>

#include "src/core/error.h"
#include "tests/support/temporary_folder.h"

namespace longspan {

/// The message of the Error(code) that `act` throws; anything else comes back as a note of it.
inline std::string error_of(const std::function<void()>& act, ExitCode code = ExitCode::kModel) {
  try {
    act();
  } catch (const Error& e) {
    return e.code() == code ? e.what() : fmt::format("code {}: {}", int(e.code()), e.what());
  }
  return "no error";
}

/// The bytes of a number, little-endian.
template <class T>
std::string bytes_of(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace longspan
