#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "src/core/error.h"
#include "tests/support/temporary_folder.h"

namespace longspan {

/// The input of one run as a file named `name`; tools/fuzz.sh puts TMPDIR into memory.
inline std::string input_file(const std::string& name, const uint8_t* data, size_t size) {
  static const TemporaryFolder kFolder;
  return kFolder.write(name, {reinterpret_cast<const char*>(data), size});
}

}  // namespace longspan
