#include "trainer/eval/report_figures.h"

#include <fmt/format.h>

#include <cstdio>

#include "src/core/atomic_file.h"
#include "src/core/error.h"
#include "trainer/eval/triangle.h"
#include "trainer/figures/png.h"
#include "trainer/figures/svg_elements.h"

namespace longspan {

namespace {

/// The charts of a figure, each an <svg> with a class; those inside a chart have none.
std::vector<std::string> charts_of(const Figure& figure) {
  constexpr std::string_view kBegin = "<svg class=";
  std::vector<std::string> charts;
  for (size_t begin = figure.svg.find(kBegin); begin != std::string::npos;) {
    const size_t end = figure.svg.find(kBegin, begin + 1);
    charts.push_back(figure.svg.substr(begin, end - begin));
    begin = end;
  }
  return charts;
}

std::string as_file(const std::string& chart) {
  double width = 0, height = 0;
  const size_t box = chart.find("viewBox=");
  if (box == std::string::npos ||
      std::sscanf(chart.c_str() + box, "viewBox=\"0 0 %lf %lf", &width, &height) != 2) {
    throw std::logic_error("a chart without a viewBox from 0 0");
  }
  return svg_file(chart, width, height);
}

}  // namespace

std::vector<std::filesystem::path> write_report_figures(
    const std::filesystem::path& folder, const std::vector<EvalResult>& results,
    const std::vector<TaskComparison>& comparisons) {
  std::filesystem::create_directories(folder);
  std::vector<std::filesystem::path> written;
  const auto write = [&](const std::string& name, const std::vector<Figure>& figures) {
    int number = 0;
    for (const Figure& figure : figures) {
      for (const std::string& chart : charts_of(figure)) {
        const std::string svg = as_file(chart);
        const auto path = folder / fmt::format("{}-{}.png", name, ++number);
        write_file(std::filesystem::path(path).replace_extension("svg"), svg);
        write_png(path, svg);
        written.push_back(path);
      }
    }
  };
  const std::vector<TaskStandings> standings = standings_of(results, comparisons);
  for (const TaskComparison& comparison : comparisons) {
    std::vector<Figure> figures;
    for (const TaskStandings& task : standings) {
      if (task.task == comparison.task) figures = triangle_figures(task);
    }
    for (auto& figure : make_eval_task(comparison.task)->figures(comparison.models)) {
      figures.push_back(std::move(figure));
    }
    write(comparison.task, figures);
  }
  write("cost", cost_figures(standings));
  return written;
}

}  // namespace longspan
