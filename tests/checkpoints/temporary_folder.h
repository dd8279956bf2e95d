#pragma once

#include <functional>
#include <string>

#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

namespace longspan {

/// What is said of a bad model.
inline std::string error_of(const std::function<void()>& act) {
  return error_of(act, ExitCode::kModel);
}

/// The bytes of a number, little-endian.
template <class T>
std::string bytes_of(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace longspan
