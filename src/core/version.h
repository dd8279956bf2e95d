#pragma once

namespace longspan {

/// "0.2.0", as CMakeLists.txt has it.
const char* version();

}  // namespace longspan
