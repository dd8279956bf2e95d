#include "trainer/figures/scatter_chart.h"

#include <gmock/gmock.h>

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

/// Three points in one place at the bottom of the frame.
TEST(ScatterChartSvg, LabelsKeepApartAndOffTheAxis) {
  ScatterChart chart = three_points();
  chart.points.push_back({"first", 40, 0, 0, 0.2, 2, false});
  chart.points.push_back({"second", 40, 0, 0, 0.2, 3, false});
  chart.points.push_back({"third", 40, 0, 0, 0.2, 4, false});
  const std::string svg = scatter_chart_svg(chart);
  std::vector<double> heights;
  for (const std::string label : {"first", "second", "third"}) {
    const size_t text = svg.find(">" + label + "</text>");
    ASSERT_NE(text, svg.npos);
    double x = 0, y = 0;
    ASSERT_EQ(
        std::sscanf(svg.c_str() + svg.rfind("<text", text), "<text x=\"%lf\" y=\"%lf\"", &x, &y),
        2);
    heights.push_back(y);
  }
  std::ranges::sort(heights);
  EXPECT_GE(heights[1] - heights[0], 14);
  EXPECT_GE(heights[2] - heights[1], 14);
  EXPECT_LT(heights[2], 250);  // the axis
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
