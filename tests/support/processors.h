#pragma once

#include <cstdlib>
#include <exception>
#include <optional>
#include <string>

#include "src/core/processor.h"

namespace longspan {

/// LONGSPAN_CPU while it lives.
class ForcedProcessor {
 public:
  explicit ForcedProcessor(const char* name) {
    if (const char* before = std::getenv("LONGSPAN_CPU")) before_ = before;
    setenv("LONGSPAN_CPU", name, 1);
  }
  ~ForcedProcessor() {
    before_ ? setenv("LONGSPAN_CPU", before_->c_str(), 1) : unsetenv("LONGSPAN_CPU");
  }
  ForcedProcessor(const ForcedProcessor&) = delete;
  ForcedProcessor& operator=(const ForcedProcessor&) = delete;

 private:
  std::optional<std::string> before_;
};

/// Why this processor cannot be taken for that one, or nothing.
inline std::string beyond_this_processor(const char* name) {
  const ForcedProcessor forced(name);
  try {
    processor();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

}  // namespace longspan
