#pragma once

namespace longspan {

/// "0.1.0", as CMakeLists.txt has it.
const char* version();

}  // namespace longspan
