#include "src/core/json.h"

#include "src/core/atomic_file.h"
#include "src/core/text.h"

namespace longspan {

namespace {
// The parser recurses once a level; a hostile file must not reach the end of the stack.
constexpr int kDeepest = 256;
}  // namespace

Json parse_json(std::string_view text, const std::string& place, ExitCode code) {
  auto limit_depth = [&](int depth, Json::parse_event_t, Json&) {
    if (depth > kDeepest) {
      fail(code, "{}: JSON nests deeper than {} levels; the file is damaged or hostile", place,
           kDeepest);
    }
    return true;
  };
  try {
    return Json::parse(text.begin(), text.end(), limit_depth);
  } catch (const nlohmann::json::exception& e) {
    fail(code, "{}: not valid JSON: {}", place, e.what());
  }
}

Json read_json_file(const std::filesystem::path& path, ExitCode code) {
  return parse_json(read_file(path, code), path.string(), code);
}

void write_json_file(const std::filesystem::path& path, const Json& value) {
  AtomicFile file(path);
  file.write(value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  file.commit();
}

}  // namespace longspan
