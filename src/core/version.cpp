#include "src/core/version.h"

namespace longspan {

const char* version() { return LONGSPAN_VERSION; }

}  // namespace longspan
