#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace longspan {

/// Labelled points, each with the bounds of its y, over a logarithmic axis; those on the front are
/// joined by a line.
struct ScatterChart {
  struct Point {
    std::string label;
    double x = 0, y = 0;       // x > 0
    double low = 0, high = 0;  // equal: no interval
    size_t colour = 0;         // of the page's series
    bool on_front = false;
  };
  std::string title, x_label, y_label;
  std::vector<Point> points{};
};
std::string scatter_chart_svg(const ScatterChart& chart);

/// 1, 2 and 5 times powers of ten from at or below `low` to at or above `high`; both positive.
std::vector<double> logarithmic_ticks(double low, double high);

}  // namespace longspan
