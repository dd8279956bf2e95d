#include "tools/support/json_lines.h"

#include "src/core/log.h"

namespace longspan {

void JsonLines::add(const Json& line) {
  file_.write(line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

void JsonLines::commit(std::string_view what) {
  file_.commit();
  log_info("wrote {} to {}", what, path_.string());
}

}  // namespace longspan
