#include "trainer/figures/rope_chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longspan {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

size_t occurrences(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
  return count;
}

RopeTable table_of(const char* rope_type, double factor, int64_t length) {
  Json keys{{"factor", factor}};
  Diagnostics diagnostics;
  Fields fields(keys, diagnostics);
  auto scaling = make_rope_scaling(rope_type);
  scaling->read(fields);
  return rope_table(*scaling, {64, 100000.0, 8192}, length);
}

TEST(RopeChart, IsAFileOfItsOwn) {
  std::string svg = rope_chart_svg(table_of("yarn", 4, 32768), "yarn < x4");
  EXPECT_TRUE(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_THAT(svg, HasSubstr("<style>"));
  EXPECT_THAT(svg, HasSubstr("yarn &lt; x4"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf\"")));
}

TEST(RopeChart, MarksEachPairBeforeAndAfter) {
  RopeTable table = table_of("yarn", 4, 32768);
  std::string svg = rope_chart_svg(table, "");
  EXPECT_EQ(occurrences(svg, "<title>pair "), 32u);
  EXPECT_EQ(occurrences(svg, "class=\"before\""), 32u + 1);  // and the legend's
}

TEST(RopeChart, DrawsBothLengths) {
  std::string svg = rope_chart_svg(table_of("yarn", 4, 32768), "");
  EXPECT_THAT(svg, HasSubstr(">8K original<"));
  EXPECT_THAT(svg, HasSubstr(">32K tokens<"));
  std::string same = rope_chart_svg(table_of("yarn", 4, 8192), "");
  EXPECT_EQ(occurrences(same, "class=\"limit\""), 1u);
}

TEST(RopeChart, RingsPairsThatMeetUnseenAngles) {
  RopeTable ntk = table_of("ntk", 4, 32768);
  ASSERT_GT(ntk.unseen_angles(), 0);
  EXPECT_EQ(occurrences(rope_chart_svg(ntk, ""), "class=\"unseen\""),
            static_cast<size_t>(ntk.unseen_angles()) + 1);
  EXPECT_THAT(rope_chart_svg(table_of("linear", 4, 32768), ""), Not(HasSubstr("class=\"unseen\"")));
}

}  // namespace
}  // namespace longspan
