#pragma once

#include <string>

#include "src/core/error.h"
#include "tests/support/temporary_folder.h"

namespace longspan {

/// The exit code of the Error that `action` throws, 0 when it throws none; its message in `what`.
template <class Action>
int exit_code_of(Action&& action, std::string* what = nullptr) {
  try {
    action();
  } catch (const Error& e) {
    if (what != nullptr) *what = e.what();
    return static_cast<int>(e.code());
  }
  return 0;
}

}  // namespace longspan
