#include <cstdio>

#include "src/core/atomic_file.h"
#include "src/core/log.h"
#include "tools/commands/commands.h"
#include "tools/support/arguments.h"
#include "tools/support/output_file.h"
#include "trainer/eval/report_figures.h"
#include "trainer/eval/report_page.h"
#include "trainer/eval/report_text.h"

namespace longspan {

namespace {

constexpr Option kReportArguments[] = {
    {"results", "RESULT.json...", "", "files written by longspan eval --out"},
};
constexpr Option kReportOptions[] = {
    {"reference", "LABEL", "",
     "what differences are to: a label, or one of the files (default: the first)"},
    {"html", "FILE", "", "page to write"},
    {"figures", "FOLDER", "", "write the page's charts here, each as SVG and PNG"},
    {"json", "", "", "print JSON instead of tables"},
};

int run_report(const Arguments& arguments) {
  std::vector<EvalResult> results;
  std::vector<std::filesystem::path> files;
  for (const auto& file : arguments.all("results")) {
    results.push_back(read_eval_result(file));
    files.emplace_back(file);
  }
  auto comparisons = compare(results);
  std::string reference;
  if (arguments.given("reference")) {
    reference = find_reference(arguments["reference"], results, comparisons, files);
  }
  if (arguments.given("html")) {
    require_output(arguments["html"], files);
    write_file(arguments["html"], report_page(results, comparisons, reference));
    log_info("page: {}", arguments["html"]);
  }
  if (arguments.given("figures")) {
    for (const auto& png : write_report_figures(arguments["figures"], results, comparisons)) {
      log_info("figure: {}", png.string());
    }
  }
  if (arguments.given("json")) {
    fmt::print("{}\n", json_text(json_report(results, comparisons, reference)));
  } else {
    fmt::print("{}", text_report(results, comparisons, reference));
  }
  return 0;
}

}  // namespace

constinit const Command kReportCommand{
    .name = "report",
    .summary = "results of eval side by side: tables, an HTML page, PNG",
    .description =
        "Results of 'longspan eval' side by side: what each model and arm reaches by length, and "
        "what it takes. Results of different texts or options are refused.",
    .example =
        "  longspan eval smollm2 --lengths 4K,8K,16K --text book.txt --label base --out base.json\n"
        "  longspan eval smollm2 --rope '{rope_type: yarn, factor: 2.0}' --lengths 4K,8K,16K \\\n"
        "      --text book.txt --label yarn --out yarn.json\n"
        "  longspan report base.json yarn.json --html report.html",
    .arguments = kReportArguments,
    .options = {kReportOptions},
    .run = run_report,
};

}  // namespace longspan
