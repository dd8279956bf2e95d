#include "trainer/figures/scatter_chart.h"

#include <gmock/gmock.h>

#include <cmath>
#include <map>

#include "tests/trainer/figures/well_formed.h"

namespace longspan {
namespace {

using testing::DoubleNear;
using testing::HasSubstr;
using testing::Pointwise;

ScatterChart three_points() {
  return {.title = "16K tokens",
          .x_label = "seconds",
          .y_label = "score",
          .points = {{"full", 40, 0.9, 0.8, 0.95, 0, true},
                     {"a < b & c", 3, 0.5, 0.4, 0.6, 1, true},
                     {"beaten", 5, 0.5, 0.4, 0.6, 9, false}}};
}

TEST(ScatterChartSvg, IsWellFormedAndNamesItsPoints) {
  const std::string svg = scatter_chart_svg(three_points());
  expect_well_formed(svg);
  EXPECT_THAT(svg, HasSubstr("a &lt; b &amp; c"));
  EXPECT_THAT(svg, HasSubstr("full: 0.9 [0.8, 0.95] at 40"));
}

TEST(ScatterChartSvg, JoinsTheFrontFromLeftToRight) {
  const std::string svg = scatter_chart_svg(three_points());
  double x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  const size_t line = svg.find("<polyline points=\"");
  ASSERT_NE(line, svg.npos);
  ASSERT_EQ(
      std::sscanf(svg.c_str() + line, "<polyline points=\"%lf,%lf %lf,%lf \"", &x1, &y1, &x2, &y2),
      4);
  EXPECT_LT(x1, x2);  // 3 s, then 40 s
  EXPECT_GT(y1, y2);  // 0.5 is lower on the page than 0.9
}

/// Five points in one place at the bottom of the frame: their labels stand on both sides of it.
TEST(ScatterChartSvg, LabelsKeepApartAndOffTheAxis) {
  ScatterChart chart = three_points();
  const std::vector<std::string> names = {"p1", "p2", "p3", "p4", "p5"};
  for (const auto& name : names) chart.points.push_back({name, 20, 0, 0, 0.2, 2, false});
  const std::string svg = scatter_chart_svg(chart);
  std::map<double, std::vector<double>> heights;  // by the place from left to right
  for (const auto& name : names) {
    const size_t text = svg.find(">" + name + "</text>");
    ASSERT_NE(text, svg.npos);
    double x = 0, y = 0;
    ASSERT_EQ(
        std::sscanf(svg.c_str() + svg.rfind("<text", text), "<text x=\"%lf\" y=\"%lf\"", &x, &y),
        2);
    EXPECT_LT(y, 250);  // the axis
    for (const double other : heights[x]) EXPECT_GE(std::abs(other - y), 14);
    heights[x].push_back(y);
  }
  EXPECT_EQ(heights.size(), 2u);
}

TEST(ScatterChartSvg, DrawsOnePoint) {
  ScatterChart chart = three_points();
  chart.points.resize(1);
  expect_well_formed(scatter_chart_svg(chart));
}

TEST(LogarithmicTicks, AreOneTwoAndFive) {
  const auto near = [](std::vector<double> expected) {
    return Pointwise(DoubleNear(1e-12), expected);
  };
  EXPECT_THAT(logarithmic_ticks(0.3, 4), near({0.2, 0.5, 1, 2, 5}));
  EXPECT_THAT(logarithmic_ticks(1, 10), near({1, 2, 5, 10}));
  EXPECT_THAT(logarithmic_ticks(3, 3), near({2, 5}));
}

}  // namespace
}  // namespace longspan
