#include "trainer/figures/svg_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "trainer/figures/svg_elements.h"
#include "trainer/figures/table.h"

namespace longspan {

namespace {

constexpr double kWidth = 860, kHeight = 400;
constexpr double kLeft = 72, kTop = 14, kBottom = 54;
constexpr double kLegendLine = 18, kLegendMax = 240;
constexpr size_t kColours = 8;  // --series-1 ... of the page

/// Data to pixels.
struct Frame {
  double x_low, x_high, y_low, y_high;  // x in log2
  double right;                         // room for the legend

  double x(double value) const {
    return kLeft + (std::log2(value) - x_low) / (x_high - x_low) * (kWidth - right - kLeft);
  }
  double y(double value) const {
    return kTop + (y_high - value) / (y_high - y_low) * (kHeight - kBottom - kTop);
  }
};

struct Extent {
  double low = INFINITY, high = -INFINITY;
  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

Frame fit(const LineChart& chart, const std::vector<double>& y_ticks) {
  Extent x;
  size_t label_length = 0;
  for (const auto& series : chart.series) {
    label_length = std::max(label_length, series.label.size());
    for (const auto& point : series.points) x.include(std::log2(point.x));
  }
  double margin = x.high > x.low ? 0.03 * (x.high - x.low) : 0.5;
  return {x.low - margin, x.high + margin, y_ticks.front(), y_ticks.back(),
          std::min(kLegendMax, 34 + 7.2 * static_cast<double>(label_length))};
}

std::vector<double> y_ticks_of(const LineChart& chart) {
  Extent y;
  for (const auto& series : chart.series) {
    for (const auto& point : series.points) {
      y.include(point.y - point.error);
      y.include(point.y + point.error);
    }
  }
  return nice_ticks(y.low, chart.y_max.value_or(y.high), 6);
}

std::string axes(const LineChart& chart, const Frame& frame, const std::vector<double>& y_ticks) {
  std::string svg;
  double right = kWidth - frame.right, bottom = kHeight - kBottom;
  double step = y_ticks[1] - y_ticks[0];
  int decimals = std::clamp(static_cast<int>(std::ceil(-std::log10(step) - 1e-9)), 0, 6);
  for (double tick : y_ticks) {
    svg += svg_line(kLeft, frame.y(tick), right, frame.y(tick), "grid");
    svg += svg_text(kLeft - 8, frame.y(tick) + 4, "tick", "end",
                    fmt::format("{:.{}f}", tick, decimals));
  }
  std::set<double> lengths;
  for (const auto& series : chart.series) {
    for (const auto& point : series.points) lengths.insert(point.x);
  }
  double labelled_up_to = -INFINITY;
  for (double length : lengths) {
    double x = frame.x(length);
    svg += svg_line(x, bottom, x, bottom + 5, "axis");
    if (x - labelled_up_to < 38) continue;
    labelled_up_to = x;
    svg += svg_text(x, bottom + 19, "tick", "middle", length_label(std::llround(length)));
  }
  svg += svg_line(kLeft, bottom, right, bottom, "axis");
  svg += svg_text((kLeft + right) / 2, kHeight - 10, "axis-label", "middle", chart.x_label);
  svg += svg_turned_text(18, (kTop + bottom) / 2, "axis-label", chart.y_label);
  return svg;
}

std::string band(const LineChart::Series& series, const Frame& frame, std::string_view colour) {
  std::string up, down;
  for (const auto& point : series.points) {
    double x = frame.x(point.x);
    up += fmt::format("{:.1f},{:.1f} ", x, frame.y(point.y + point.error));
    down = fmt::format("{:.1f},{:.1f} ", x, frame.y(point.y - point.error)) + down;
  }
  return fmt::format("<polygon points=\"{}{}\" class=\"band\" fill=\"{}\"/>\n", up, down, colour);
}

std::string curve(const LineChart::Series& series, const Frame& frame, std::string_view colour,
                  std::string_view dashes) {
  std::string path, marks;
  for (const auto& point : series.points) {
    double x = frame.x(point.x), y = frame.y(point.y);
    path += fmt::format("{:.1f},{:.1f} ", x, y);
    std::string error = point.error > 0 ? fmt::format(" ± {:.4f}", point.error) : "";
    marks += fmt::format(
        "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\" fill=\"{}\" class=\"mark\"><title>{}, {}: "
        "{:.4f}{}</title></circle>\n",
        x, y, colour, escape_html(series.label), length_label(std::llround(point.x)), point.y,
        error);
  }
  return fmt::format("<polyline points=\"{}\" class=\"curve\" stroke=\"{}\"{}/>\n{}", path, colour,
                     dashes, marks);
}

/// Labels at the ends of the lines, pushed apart where ends meet.
std::string legend(const LineChart& chart, const Frame& frame) {
  struct Entry {
    size_t series;
    double y, end_x, end_y;
  };
  std::vector<Entry> entries;
  for (size_t i = 0; i < chart.series.size(); ++i) {
    if (chart.series[i].points.empty()) continue;
    const auto& last = chart.series[i].points.back();
    double y = std::clamp(frame.y(last.y), kTop, kHeight - kBottom);
    entries.push_back({i, y, frame.x(last.x), y});
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.y < b.y; });
  double lowest = kHeight - kBottom - kLegendLine * (static_cast<double>(entries.size()) - 1);
  double next = kTop;
  for (auto& entry : entries) {
    entry.y = std::clamp(entry.y, next, std::max(next, lowest));
    next = entry.y + kLegendLine;
    lowest += kLegendLine;
  }
  std::string svg;
  for (const auto& entry : entries) {
    const auto& series = chart.series[entry.series];
    bool above = series.points.back().y > frame.y_high;
    double x = kWidth - frame.right + 14;
    svg += fmt::format(
        "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" class=\"leader\" "
        "stroke=\"var(--series-{})\"/>\n",
        entry.end_x + 5, entry.end_y, x - 3, entry.y, entry.series % kColours + 1);
    svg += svg_text(x, entry.y + 4, "legend", "start", series.label + (above ? " ↑" : ""));
  }
  return svg;
}

}  // namespace

std::vector<double> nice_ticks(double low, double high, int count) {
  // Closer than that, and the steps from one to the other would be lost in rounding.
  if (!(high - low > 1e-9 * std::max({1.0, std::abs(low), std::abs(high)}))) {
    double room = std::max(1e-3, std::abs(low) * 0.05);
    low -= room;
    high += room;
  }
  double rough = (high - low) / count;
  double power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = power * 10;
  for (double factor : {1.0, 2.0, 5.0}) {
    if (power * factor >= rough * 0.999) {
      step = power * factor;
      break;
    }
  }
  std::vector<double> ticks;
  auto first = std::floor(low / step + 1e-9), last = std::ceil(high / step - 1e-9);
  for (double i = first; i <= last; ++i) ticks.push_back(i * step);
  return ticks;
}

std::string line_chart_svg(const LineChart& chart) {
  std::vector<double> y_ticks = y_ticks_of(chart);
  Frame frame = fit(chart, y_ticks);
  std::string svg = fmt::format(
      "<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{} against {}\">\n",
      kWidth, kHeight, escape_html(chart.y_label), escape_html(chart.x_label));
  svg += axes(chart, frame, y_ticks);
  // The inner <svg> cuts what leaves the frame.
  svg += fmt::format(
      "<svg x=\"{0}\" y=\"{1}\" width=\"{2}\" height=\"{3}\" viewBox=\"{0} {1} {2} {3}\">\n", kLeft,
      kTop, kWidth - frame.right - kLeft, kHeight - kBottom - kTop);
  std::string bands, curves;
  for (size_t i = 0; i < chart.series.size(); ++i) {
    const auto& series = chart.series[i];
    std::string colour = fmt::format("var(--series-{})", i % kColours + 1);
    bool has_band = std::any_of(series.points.begin(), series.points.end(),
                                [](const auto& point) { return point.error > 0; });
    if (has_band) bands += band(series, frame, colour);
    curves += curve(series, frame, colour, i < kColours ? "" : " stroke-dasharray=\"6 4\"");
  }
  return svg + bands + curves + "</svg>\n" + legend(chart, frame) + "</svg>\n";
}

std::string heat_map_svg(const HeatMap& map) {
  constexpr double kCellWidth = 62, kCellHeight = 34, kMapLeft = 76, kMapTop = 30;
  double right = kMapLeft + kCellWidth * static_cast<double>(map.columns.size());
  double bottom = kMapTop + kCellHeight * static_cast<double>(map.rows.size());
  double width = std::max(right + 8, kMapLeft + 7.6 * static_cast<double>(map.title.size()));
  std::string svg = fmt::format(
      "<svg class=\"heat-map\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
      "height=\"{1:.0f}\" role=\"img\" aria-label=\"{2}\">\n",
      width, bottom + 44, escape_html(map.title));
  svg += svg_text(kMapLeft, 18, "map-title", "start", map.title);
  for (size_t r = 0; r < map.rows.size(); ++r) {
    double y = kMapTop + kCellHeight * static_cast<double>(r);
    svg += svg_text(kMapLeft - 8, y + kCellHeight / 2 + 4, "tick", "end", map.rows[r]);
    for (size_t c = 0; c < map.columns.size(); ++c) {
      const auto& cell = map.cells[r][c];
      double x = kMapLeft + kCellWidth * static_cast<double>(c);
      svg += fmt::format(
          "<g><title>{}</title><rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" "
          "class=\"cell\" fill-opacity=\"{:.3f}\"/>\n",
          escape_html(cell.tooltip), x + 1, y + 1, kCellWidth - 2, kCellHeight - 2,
          cell.value.value_or(0));
      svg += svg_text(x + kCellWidth / 2, y + kCellHeight / 2 + 4,
                      cell.value.value_or(0) > 0.5 ? "cell-text full" : "cell-text", "middle",
                      cell.text);
      svg += "</g>\n";
    }
  }
  for (size_t c = 0; c < map.columns.size(); ++c) {
    double x = kMapLeft + kCellWidth * (static_cast<double>(c) + 0.5);
    svg += svg_text(x, bottom + 17, "tick", "middle", map.columns[c]);
  }
  svg += svg_text((kMapLeft + right) / 2, bottom + 38, "axis-label", "middle", map.x_label);
  svg += svg_turned_text(16, (kMapTop + bottom) / 2, "axis-label", map.y_label);
  return svg + "</svg>\n";
}

}  // namespace longspan
