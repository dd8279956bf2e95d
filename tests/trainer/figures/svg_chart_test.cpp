#include "trainer/figures/svg_chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/trainer/figures/well_formed.h"
#include "trainer/figures/table.h"

namespace longspan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

LineChart two_lines() {
  return {.x_label = "context (tokens)",
          .y_label = "loss",
          .series = {{"base", {{4096, 3.2, 0.1}, {8192, 3.21, 0.1}, {16384, 5.5, 0.2}}},
                     {"a < b & c", {{4096, 3.2, 0.1}, {16384, 3.19, 0.1}}}}};
}

TEST(LineChartSvg, IsWellFormed) { expect_well_formed(line_chart_svg(two_lines())); }

TEST(LineChartSvg, LabelsLengthsInK) {
  std::string svg = line_chart_svg(two_lines());
  for (const char* label : {">4K<", ">8K<", ">16K<"}) EXPECT_THAT(svg, HasSubstr(label));
}

TEST(LineChartSvg, MarksALineThatLeavesTheFrame) {
  LineChart chart = two_lines();
  EXPECT_THAT(line_chart_svg(chart), Not(HasSubstr("base ↑")));
  chart.y_max = 3.4;
  std::string svg = line_chart_svg(chart);
  expect_well_formed(svg);
  EXPECT_THAT(svg, HasSubstr("base ↑"));
}

TEST(LineChartSvg, DrawsASinglePoint) {
  LineChart chart{.x_label = "x", .y_label = "y", .series = {{"one", {{4096, 3.2, 0}}}}};
  expect_well_formed(line_chart_svg(chart));
}

TEST(HeatMapSvg, IsWellFormedAndNamesTheTrials) {
  HeatMap map{.title = "base & co",
              .x_label = "prompt",
              .y_label = "depth",
              .columns = {"4K", "8K"},
              .rows = {"0 %"},
              .cells = {{{1.0, "3/3", "three"}, {{}, "", ""}}}};
  std::string svg = heat_map_svg(map);
  expect_well_formed(svg);
  EXPECT_THAT(svg, HasSubstr(">3/3<"));
  EXPECT_THAT(svg, HasSubstr("fill-opacity=\"1.000\""));
  EXPECT_THAT(svg, HasSubstr("fill-opacity=\"0.000\""));
}

TEST(NiceTicks, AreRoundAndCoverTheRange) {
  EXPECT_THAT(nice_ticks(0, 1, 5),
              ElementsAre(0, 0.2, 0.4, ::testing::DoubleNear(0.6, 1e-9), 0.8, 1));
  auto ticks = nice_ticks(3.17, 5.52, 6);
  EXPECT_LE(ticks.front(), 3.17);
  EXPECT_GE(ticks.back(), 5.52);
  EXPECT_GE(nice_ticks(2, 2, 5).size(), 2);
  EXPECT_LE(nice_ticks(3, std::nextafter(3.0, 4.0), 6).size(), 20);
}

TEST(TextTable, AlignsColumnsByCharacters) {
  Table table{.title = "Loss", .header = {"model", "4K"}, .rows = {{"a", "1 ± 2"}, {"bb", "33"}}};
  EXPECT_EQ(text_table(table),
            "Loss\n"
            "  model      4K\n"
            "  a       1 ± 2\n"
            "  bb         33\n");
}

TEST(HtmlTable, IsWellFormedAndEscaped) {
  std::string html = html_table({.title = "a & b", .header = {"x", "y"}, .rows = {{"<", "1"}}});
  expect_well_formed(html);
  EXPECT_THAT(html, HasSubstr("&lt;"));
}

TEST(LengthLabel, UsesKOnlyForWholeQuarters) {
  EXPECT_EQ(length_label(4096), "4K");
  EXPECT_EQ(length_label(1536), "1.5K");
  EXPECT_EQ(length_label(1280), "1.25K");
  EXPECT_EQ(length_label(1000), "1000");
  EXPECT_EQ(length_label(256), "256");
}

}  // namespace
}  // namespace longspan
