#include "trainer/plan/plan_chart.h"

#include <fmt/format.h>

#include <algorithm>

#include "trainer/figures/svg_chart.h"
#include "trainer/figures/svg_elements.h"
#include "trainer/figures/table.h"
#include "trainer/plan/plan_report.h"

namespace longspan {

namespace {

constexpr double kPlanWidth = 900, kPlanHeight = 400, kPlanTop = 44, kPlanBottom = 350;
constexpr double kPanelWidth = 230, kLegendWidth = 150, kMostBarWidth = 48;
constexpr size_t kPlanColours = 8;  // --series-1 and on

using Parts = std::vector<std::pair<std::string, double>>;

struct Bar {
  std::string label;
  Parts parts;  // by the same names in each bar of a panel

  double total() const {
    double sum = 0;
    for (const auto& [name, value] : parts) sum += value;
    return sum;
  }
};

struct Panel {
  std::string title;
  double left;
  std::vector<Bar> bars;
  double limit = 0;  // a dashed line; 0: none
};

std::string fill_of(size_t part) {
  // Beyond eight parts the colours come again, lighter.
  return fmt::format("fill=\"var(--series-{})\"{}", part % kPlanColours + 1,
                     part < kPlanColours ? "" : " fill-opacity=\"0.5\"");
}

std::string stacked_bar(const Bar& bar, double x, double width, double pixels_a_unit) {
  std::string svg;
  double y = kPlanBottom;
  for (size_t i = 0; i < bar.parts.size(); ++i) {
    const auto& [name, value] = bar.parts[i];
    const double height = value * pixels_a_unit;
    if (height <= 0) continue;
    y -= height;
    svg += fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.2f}\" {}>"
        "<title>{}: {:.4g}</title></rect>\n",
        x, y, width, height, fill_of(i), escape_html(name), value);
  }
  return svg + svg_text(x + width / 2, kPlanBottom + 18, "tick", "middle", bar.label);
}

std::string legend(const Panel& panel) {
  std::string svg;
  const double x = panel.left + kPanelWidth + 14;
  double y = kPlanTop + 8;
  for (size_t i = panel.bars.front().parts.size(); i-- > 0;) {
    const bool drawn = std::any_of(panel.bars.begin(), panel.bars.end(),
                                   [&](const Bar& bar) { return bar.parts[i].second > 0; });
    if (!drawn) continue;
    std::string name = panel.bars.front().parts[i].first;
    std::replace(name.begin(), name.end(), '_', ' ');
    svg += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"11\" height=\"11\" {}/>\n", x,
                       y - 9, fill_of(i));
    svg += svg_text(x + 17, y + 1, "tick", "start", name);
    y += 19;
  }
  return svg;
}

std::string draw(const Panel& panel) {
  double most = panel.limit;
  for (const Bar& bar : panel.bars) most = std::max(most, bar.total());
  const std::vector<double> ticks = nice_ticks(0, most, 6);
  const double pixels = (kPlanBottom - kPlanTop) / ticks.back(), right = panel.left + kPanelWidth;
  std::string svg = svg_text(panel.left, 24, "map-title", "start", panel.title);
  for (double tick : ticks) {
    const double y = kPlanBottom - tick * pixels;
    svg += svg_line(panel.left, y, right, y, "grid");
    svg += svg_text(panel.left - 8, y + 4, "tick", "end", fmt::format("{:g}", tick));
  }
  const double slot = kPanelWidth / static_cast<double>(panel.bars.size());
  const double width = std::min(kMostBarWidth, 0.7 * slot);
  for (size_t i = 0; i < panel.bars.size(); ++i) {
    const double x = panel.left + (static_cast<double>(i) + 0.5) * slot - width / 2;
    svg += stacked_bar(panel.bars[i], x, width, pixels);
  }
  svg += svg_line(panel.left, kPlanBottom, right, kPlanBottom, "axis");
  if (panel.limit > 0) {
    const double y = kPlanBottom - panel.limit * pixels;
    svg += svg_line(panel.left, y, right, y, "limit");
    svg += svg_text(right, y - 5, "tick", "end", "available");
  }
  svg += svg_text(panel.left + kPanelWidth / 2, kPlanHeight - 10, "axis-label", "middle",
                  "tokens in a sequence");
  return svg + legend(panel);
}

Parts scaled(Parts parts, double unit) {
  for (auto& [name, value] : parts) value /= unit;
  return parts;
}

const TimePlan& slowest_step(const Plan& plan) {
  return std::max_element(
             plan.stages.begin(), plan.stages.end(),
             [](const auto& a, const auto& b) { return a.step.total() < b.step.total(); })
      ->step;
}

}  // namespace

std::string plan_chart_svg(const std::vector<Plan>& plans) {
  constexpr double kGiB = 1024.0 * 1024 * 1024;
  double longest = 0;
  for (const Plan& plan : plans) longest = std::max(longest, slowest_step(plan).total());
  const double unit = longest < 120 ? 1 : longest < 7200 ? 60 : 3600;
  Panel memory{.title = "memory at the peak (GiB)", .left = 56, .bars = {}};
  Panel time{.title = fmt::format("time of a step ({})", unit == 1    ? "s"
                                                         : unit == 60 ? "min"
                                                                      : "h"),
             .left = 56 + kPanelWidth + kLegendWidth + 56,
             .bars = {}};
  for (const Plan& plan : plans) {
    const std::string label = length_label(plan.seq_len());
    memory.bars.push_back({label, scaled(parts_of(plan.peak()), kGiB)});
    time.bars.push_back({label, scaled(parts_of(slowest_step(plan)), unit)});
  }
  memory.limit = static_cast<double>(plans.front().available_bytes) / kGiB;
  std::string svg = fmt::format(
      "<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"memory and time by "
      "length\">\n",
      kPlanWidth, kPlanHeight);
  return svg_file(svg + draw(memory) + draw(time) + "</svg>\n", kPlanWidth, kPlanHeight);
}

}  // namespace longspan
