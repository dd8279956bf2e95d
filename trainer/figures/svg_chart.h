#pragma once

#include <optional>
#include <string>
#include <vector>

namespace longspan {

/// One or more <svg> elements and what is said below them. Colours are CSS variables and classes
/// of the page (see report_page.cpp), so that they suit light and dark.
struct Figure {
  std::string caption;
  std::string svg;
};

/// Lines over a logarithmic axis of token counts, with a band of +- error and a legend at the ends.
struct LineChart {
  struct Point {
    double x = 0, y = 0, error = 0;
  };
  struct Series {
    std::string label;
    std::vector<Point> points{};  // by rising x
  };
  std::string x_label, y_label;
  std::vector<Series> series{};
  std::optional<double> y_max{};  // lines are cut there; else everything is in the frame
};
std::string line_chart_svg(const LineChart& chart);

/// Cells coloured on the fixed scale 0 to 1; a cell without value stays empty.
struct HeatMap {
  struct Cell {
    std::optional<double> value;
    std::string text, tooltip;
  };
  std::string title, x_label, y_label;
  std::vector<std::string> columns{}, rows{};
  std::vector<std::vector<Cell>> cells{};  // [rows][columns]
};
std::string heat_map_svg(const HeatMap& map);

/// Round values from at or below `low` to at or above `high`, about `count` of them.
std::vector<double> nice_ticks(double low, double high, int count);

}  // namespace longspan
