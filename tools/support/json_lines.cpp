#include "tools/support/json_lines.h"

#include "src/core/log.h"

namespace longspan {

void JsonLines::add(const Json& line) { file_.write(json_line(line) + "\n"); }

void JsonLines::commit(std::string_view what) {
  file_.commit();
  log_info("wrote {} to {}", what, path_.string());
}

}  // namespace longspan
