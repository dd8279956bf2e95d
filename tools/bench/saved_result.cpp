#include "tools/bench/saved_result.h"

#include <algorithm>
#include <iterator>
#include <string_view>

namespace longspan {

std::vector<Json> read_result_rows(const std::string& path) {
  Json json = read_json_file(path, ExitCode::kData);
  if (json.is_object()) json = Json::array({json});
  const auto is_row = [](const Json& row) { return row.is_object(); };
  if (!json.is_array() || json.empty() || !std::all_of(json.begin(), json.end(), is_row)) {
    fail(ExitCode::kData, "{}: expected a list of rows, as bench writes with --json", path);
  }
  return {json.begin(), json.end()};
}

bool is_measurement(const std::string& key) {
  constexpr std::string_view kEndings[] = {
      "_gflops", "per_second", "per_second_median", "seconds", "_mb", "_mib", "_ratio"};
  return std::any_of(std::begin(kEndings), std::end(kEndings),
                     [&](std::string_view ending) { return key.ends_with(ending); });
}

}  // namespace longspan
