#include "trainer/figures/scatter_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "trainer/figures/svg_chart.h"
#include "trainer/figures/svg_elements.h"
#include "trainer/figures/table.h"

namespace longspan {

namespace {

constexpr double kScatterLeft = 58, kScatterRight = 320, kScatterTop = 34, kScatterBottom = 250;
constexpr double kScatterHeight = 300;
constexpr double kLabelHeight = 14, kLetterWidth = 7, kLabelGap = 9;
constexpr size_t kScatterColours = 8;  // --series-1 ... of the page

struct ScatterFrame {
  double x_low, x_high, y_low, y_high;  // x in log10

  double x(double value) const {
    const double share = (std::log10(value) - x_low) / (x_high - x_low);
    return kScatterLeft + share * (kScatterRight - kScatterLeft);
  }
  double y(double value) const {
    const double share = (y_high - value) / (y_high - y_low);
    return kScatterTop + share * (kScatterBottom - kScatterTop);
  }
};

std::string axes(const ScatterChart& chart, const ScatterFrame& frame,
                 const std::vector<double>& x_ticks, const std::vector<double>& y_ticks) {
  const double right = kScatterRight, bottom = kScatterBottom;
  std::string svg;
  for (double tick : y_ticks) {
    svg += svg_line(kScatterLeft, frame.y(tick), right, frame.y(tick), "grid");
    svg +=
        svg_text(kScatterLeft - 7, frame.y(tick) + 4, "tick", "end", fmt::format("{:.4g}", tick));
  }
  double labelled_up_to = -INFINITY;
  for (double tick : x_ticks) {
    const double x = frame.x(tick);
    svg += svg_line(x, bottom, x, bottom + 5, "axis");
    if (x - labelled_up_to < 34) continue;
    labelled_up_to = x;
    svg += svg_text(x, bottom + 18, "tick", "middle", fmt::format("{:.4g}", tick));
  }
  svg += svg_line(kScatterLeft, bottom, right, bottom, "axis");
  svg += svg_text((kScatterLeft + right) / 2, kScatterHeight - 10, "axis-label", "middle",
                  chart.x_label);
  return svg + svg_turned_text(15, (kScatterTop + bottom) / 2, "axis-label", chart.y_label);
}

std::string front(const ScatterChart& chart, const ScatterFrame& frame) {
  std::vector<const ScatterChart::Point*> on;
  for (const auto& point : chart.points) {
    if (point.on_front) on.push_back(&point);
  }
  std::ranges::sort(on, {}, &ScatterChart::Point::x);
  std::string path;
  for (const auto* point : on) {
    path += fmt::format("{:.1f},{:.1f} ", frame.x(point->x), frame.y(point->y));
  }
  return fmt::format("<polyline points=\"{}\" class=\"before\"/>\n", path);
}

std::string mark(const ScatterChart::Point& point, const ScatterFrame& frame) {
  const double x = frame.x(point.x), y = frame.y(point.y);
  const std::string colour = fmt::format("var(--series-{})", point.colour % kScatterColours + 1);
  const std::string between =
      point.low < point.high ? fmt::format(" [{:.4g}, {:.4g}]", point.low, point.high) : "";
  return fmt::format(
      "<line x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\" class=\"leader\" "
      "stroke=\"{3}\"/>\n<circle cx=\"{0:.1f}\" cy=\"{4:.1f}\" r=\"{5}\" fill=\"{3}\" "
      "class=\"mark\"><title>{6}: {7:.4g}{8} at {9:.4g}</title></circle>\n",
      x, frame.y(point.high), frame.y(point.low), colour, y, point.on_front ? 5.5 : 4,
      escape_html(point.label), point.y, between, point.x);
}

struct LabelBox {
  double left, right, y;

  bool covers(const LabelBox& other) const {
    return other.left < right && left < other.right && std::abs(other.y - y) < kLabelHeight;
  }
};

/// The place right or left of a point, as near to its height as the others leave free, inside the
/// frame.
LabelBox free_place(double x, double y, double width, const std::vector<LabelBox>& others) {
  const LabelBox right{x + kLabelGap, x + kLabelGap + width, y},
      left{x - kLabelGap - width, x - kLabelGap, y};
  for (int distance = 0; distance < kScatterBottom - kScatterTop; ++distance) {
    for (LabelBox box : {right, left}) {
      for (const int way : {-1, 1}) {
        box.y = y + way * distance;
        if (box.y < kScatterTop || box.y > kScatterBottom - 3 || box.left < kScatterLeft) continue;
        const auto covers = [&](const LabelBox& other) { return box.covers(other); };
        if (std::ranges::none_of(others, covers)) return box;
      }
    }
  }
  return right;
}

/// Beside the points, the highest first.
std::string labels(const ScatterChart& chart, const ScatterFrame& frame) {
  std::vector<const ScatterChart::Point*> from_above;
  for (const auto& point : chart.points) from_above.push_back(&point);
  std::ranges::stable_sort(from_above, [](const auto* a, const auto* b) { return a->y > b->y; });
  std::vector<LabelBox> placed;
  std::string svg;
  for (const auto* point : from_above) {
    const double x = frame.x(point->x);
    const double width = kLetterWidth * static_cast<double>(point->label.size());
    placed.push_back(free_place(x, frame.y(point->y) - 5, width, placed));
    const bool is_left = placed.back().left < x;
    svg += svg_text(is_left ? x - kLabelGap : x + kLabelGap, placed.back().y, "legend",
                    is_left ? "end" : "start", point->label);
  }
  return svg;
}

}  // namespace

std::vector<double> logarithmic_ticks(double low, double high) {
  std::vector<double> ticks;
  const double first = std::floor(std::log10(low) + 1e-9);
  for (double power = std::pow(10.0, first); ticks.empty() || ticks.back() < high * (1 - 1e-9);
       power *= 10) {
    for (double factor : {1.0, 2.0, 5.0}) {
      if (!ticks.empty() && ticks.back() >= high * (1 - 1e-9)) break;
      if (power * factor <= low * (1 + 1e-9)) ticks.clear();
      ticks.push_back(power * factor);
    }
  }
  return ticks;
}

std::string scatter_chart_svg(const ScatterChart& chart) {
  double x_low = INFINITY, x_high = 0, y_low = INFINITY, y_high = -INFINITY;
  for (const auto& point : chart.points) {
    x_low = std::min(x_low, point.x);
    x_high = std::max(x_high, point.x);
    y_low = std::min(y_low, point.low);
    y_high = std::max(y_high, point.high);
  }
  const std::vector<double> x_ticks = logarithmic_ticks(x_low / 1.1, x_high * 1.1);
  const std::vector<double> y_ticks = nice_ticks(y_low, y_high, 5);
  const ScatterFrame frame{std::log10(x_ticks.front()), std::log10(x_ticks.back()), y_ticks.front(),
                           y_ticks.back()};
  size_t longest = 0;
  for (const auto& point : chart.points) longest = std::max(longest, point.label.size());
  const double width = kScatterRight + 14 + kLetterWidth * static_cast<double>(longest);
  std::string svg = fmt::format(
      "<svg class=\"scatter\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\" "
      "aria-label=\"{2}: {3} against {4}\">\n",
      width, kScatterHeight, escape_html(chart.title), escape_html(chart.y_label),
      escape_html(chart.x_label));
  svg += svg_text(kScatterLeft, 18, "map-title", "start", chart.title);
  svg += axes(chart, frame, x_ticks, y_ticks) + front(chart, frame);
  for (const auto& point : chart.points) svg += mark(point, frame);
  return svg + labels(chart, frame) + "</svg>\n";
}

}  // namespace longspan
