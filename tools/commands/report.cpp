#include <cstdio>

#include "src/core/atomic_file.h"
#include "src/core/log.h"
#include "tools/support/command.h"
#include "tools/support/output_file.h"
#include "trainer/eval/report_page.h"

namespace longspan {

namespace {

constexpr std::string_view kReportExample =
    "  longspan eval smollm2 --lengths 4K,8K,16K --text book.txt --label base --out base.json\n"
    "  longspan eval smollm2 --rope '{rope_type: yarn, factor: 2.0}' --lengths 4K,8K,16K \\\n"
    "      --text book.txt --label yarn --out yarn.json\n"
    "  longspan report base.json yarn.json --html report.html";

Json json_report(const std::vector<EvalResult>& results,
                 const std::vector<TaskComparison>& comparisons) {
  Json models = Json::array(), tasks = Json::array();
  for (const auto& result : results) {
    Json model = {{"label", result.label}};
    model.update(result.provenance);
    models.push_back(std::move(model));
  }
  for (const auto& comparison : comparisons) {
    Json entries = Json::array();
    for (const auto& model : comparison.models) {
      entries.push_back({{"label", model.label}, {"rows", model.rows}});
    }
    tasks.push_back({{"task", comparison.task},
                     {"protocol", comparison.protocol},
                     {"models", std::move(entries)}});
  }
  return {{"models", std::move(models)}, {"tasks", std::move(tasks)}};
}

void check_reference(const std::string& reference, const std::vector<EvalResult>& results) {
  if (reference.empty()) return;
  std::string labels;
  for (const auto& result : results) {
    if (result.label == reference) return;
    labels += (labels.empty() ? "" : ", ") + result.label;
  }
  fail(ExitCode::kUsage, "--reference: no result is labelled '{}'; there are {}", reference,
       labels);
}

}  // namespace

int report_command(int argc, char** argv) {
  cxxopts::Options options("longspan report",
                           "Results of 'longspan eval' side by side. Results of different texts "
                           "or options are refused.\n");
  options.add_options()("results", "files written by longspan eval --out",
                        cxxopts::value<std::vector<std::string>>())(
      "reference", "label that differences are to (default: the first)",
      cxxopts::value<std::string>(),
      "LABEL")("html", "page to write", cxxopts::value<std::string>(), "FILE")(
      "json", "print JSON instead of tables")("h,help", "this help");
  options.parse_positional({"results"});
  options.positional_help("RESULT.json...");
  auto parsed = parse_command_line(options, argc, argv, kReportExample);
  if (!parsed) return 0;
  std::string reference;
  if (parsed->count("reference")) reference = (*parsed)["reference"].as<std::string>();

  std::vector<EvalResult> results;
  std::vector<std::filesystem::path> files;
  for (const auto& file : values_of(*parsed, "results")) {
    results.push_back(read_eval_result(file));
    files.emplace_back(file);
  }
  if (results.empty()) {
    fail(ExitCode::kUsage, "longspan report: no result file given; see longspan report -h");
  }
  check_reference(reference, results);
  auto comparisons = compare(results);
  if (parsed->count("html")) {
    require_output((*parsed)["html"].as<std::string>(), files);
    write_file((*parsed)["html"].as<std::string>(), report_page(results, comparisons, reference));
    log_info(fmt::format("page: {}", (*parsed)["html"].as<std::string>()));
  }
  if (parsed->count("json")) {
    fmt::print("{}\n", json_text(json_report(results, comparisons)));
  } else {
    fmt::print("{}", text_report(comparisons, reference));
  }
  return 0;
}

}  // namespace longspan
