// Two results of bench, or of a peer's script, row by row.

#include <fmt/format.h>

#include <algorithm>

#include "src/core/error.h"
#include "tools/bench/bench.h"
#include "tools/bench/saved_result.h"
#include "trainer/figures/table.h"

namespace longspan {

namespace {

constexpr std::string_view kCompareExample =
    "  bench compare before.json after.json\n"
    "  bench compare peer.json step.json";

/// Whether both rows measure the same thing of the same work; a peer's name, lists and what one
/// row lacks do not count.
bool same_work(const Json& a, const Json& b) {
  bool measured = false;
  for (const auto& [key, value] : a.items()) {
    if (key == "peer" || !value.is_primitive() || !b.contains(key)) continue;
    if (is_measurement(key)) {
      measured = true;
    } else if (b[key] != value) {
      return false;
    }
  }
  return measured;
}

std::string name_of(const Json& row) {
  std::string name;
  for (const auto& [key, value] : row.items()) {
    if (key == "peer" || !value.is_primitive() || is_measurement(key)) continue;
    name += fmt::format("{}{} {}", name.empty() ? "" : ", ", key,
                        value.is_string() ? value.get<std::string>() : value.dump());
  }
  return name;
}

Table compare_rows(const Json& a, const Json& b) {
  Table table{name_of(a), {"", "first", "second", "second / first"}};
  for (const auto& [key, value] : a.items()) {
    if (!is_measurement(key) || !value.is_number() || !b.contains(key) || !b[key].is_number()) {
      continue;
    }
    const double first = value.get<double>(), second = b[key].get<double>();
    table.rows.push_back({key, fmt::format("{:.5g}", first), fmt::format("{:.5g}", second),
                          fmt::format("{:.3f}", second / first)});
  }
  return table;
}

}  // namespace

int compare_bench(int argc, char** argv) {
  cxxopts::Options options("bench compare",
                           "Each measurement of the second result over that of the first, for the "
                           "rows that are of the same work.\n");
  options.add_options("", {{"first", "", cxxopts::value<std::string>(), "A.json"},
                           {"second", "", cxxopts::value<std::string>(), "B.json"}});
  options.parse_positional({"first", "second"});
  options.positional_help("A.json B.json");
  auto parsed = parse_bench_options(options, argc, argv, kCompareExample);
  if (!parsed) return 0;
  if (!parsed->count("second")) fail(ExitCode::kUsage, "bench compare: expected A.json B.json");
  const auto first = read_result_rows((*parsed)["first"].as<std::string>());
  const auto second = read_result_rows((*parsed)["second"].as<std::string>());
  std::string report;
  for (const Json& row : first) {
    const auto match = std::find_if(second.begin(), second.end(),
                                    [&](const Json& other) { return same_work(row, other); });
    if (match != second.end()) report += text_table(compare_rows(row, *match)) + "\n";
  }
  if (report.empty()) {
    fail(ExitCode::kData, "bench compare: no row of {} is of the same work as one of {}",
         (*parsed)["first"].as<std::string>(), (*parsed)["second"].as<std::string>());
  }
  fmt::print("{}", report);
  return 0;
}

}  // namespace longspan
