// Rates of attention by length, under the rate of the GEMM of the same run.

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "src/core/atomic_file.h"
#include "src/core/error.h"
#include "src/core/log.h"
#include "tools/bench/bench.h"
#include "tools/bench/saved_result.h"
#include "trainer/figures/svg_chart.h"
#include "trainer/figures/svg_elements.h"

namespace longspan {

namespace {

constexpr std::string_view kRooflineExample =
    "  bench attention --json > attention.json\n"
    "  bench roofline attention.json attention.svg";
constexpr double kWidth = 860, kHeight = 400;  // of a line chart

struct Curves {
  std::vector<std::string> order{};
  std::map<std::string, std::map<int64_t, double>> rates{};  // by label and length

  void add(const std::string& label, int64_t length, double rate) {
    if (!rates.contains(label)) order.push_back(label);
    double& best = rates[label][length];
    best = std::max(best, rate);  // the GEMM has a row for each shape
  }
};

std::string draw(const std::vector<Json>& rows) {
  Curves curves;
  for (const Json& row : rows) {
    const auto length = row["length"].get<int64_t>();
    const std::string shape = fmt::format("{}, D {}: ", row["pattern"].get<std::string>(),
                                          row["head_dim"].get<int64_t>());
    curves.add("GEMM", length, row["linear_gflops"].get<double>());
    curves.add(shape + "forward", length, row["forward_gflops"].get<double>());
    curves.add(shape + "backward", length, row["backward_gflops"].get<double>());
    curves.add("best of SDPA", length,
               std::max(row["sdpa_forward_gflops"].get<double>(),
                        row["sdpa_backward_gflops"].get<double>()));
  }
  LineChart chart{.x_label = "tokens", .y_label = "GFLOP/s"};
  for (const std::string& label : curves.order) {
    auto& series = chart.series.emplace_back(LineChart::Series{label});
    for (const auto& [length, rate] : curves.rates[label]) {
      series.points.push_back({static_cast<double>(length), rate});
    }
  }
  return svg_file(line_chart_svg(chart), kWidth, kHeight);
}

}  // namespace

int roofline_bench(int argc, char** argv) {
  cxxopts::Options options("bench roofline",
                           "Draw a result of bench attention: GFLOP/s by length, with the GEMM as "
                           "the roof and the best of SDPA as the floor.\n");
  options.add_options("", {{"result", "", cxxopts::value<std::string>(), "A.json"},
                           {"picture", "", cxxopts::value<std::string>(), "OUT.svg"}});
  options.parse_positional({"result", "picture"});
  options.positional_help("A.json OUT.svg");
  auto parsed = parse_bench_options(options, argc, argv, kRooflineExample);
  if (!parsed) return 0;
  if (!parsed->count("picture")) fail(ExitCode::kUsage, "bench roofline: expected A.json OUT.svg");
  const auto result = (*parsed)["result"].as<std::string>();
  const auto rows = read_result_rows(result);
  if (!rows.front().contains("sdpa_forward_gflops")) {
    fail(ExitCode::kData, "{}: expected what bench attention --json prints", result);
  }
  write_file((*parsed)["picture"].as<std::string>(), draw(rows));
  log_info("wrote {}", (*parsed)["picture"].as<std::string>());
  return 0;
}

}  // namespace longspan
