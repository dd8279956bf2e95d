#include "trainer/figures/png.h"

#include <gmock/gmock.h>

#include "src/core/text.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"
#include "trainer/figures/scatter_chart.h"
#include "trainer/figures/svg_elements.h"

namespace longspan {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string chart_file() {
  return svg_file(scatter_chart_svg({.title = "t",
                                     .x_label = "x",
                                     .y_label = "y",
                                     .points = {{"full", 40, 0.9, 0.8, 0.95, 0, true}}}),
                  400, 300);
}

uint32_t big_endian(const std::string& bytes, size_t at) {
  uint32_t number = 0;
  for (size_t i = 0; i < 4; ++i) number = number << 8 | static_cast<unsigned char>(bytes[at + i]);
  return number;
}

TEST(Png, HasTheSizeOfTheChartByScale) {
  const TemporaryFolder folder;
  write_png(folder.path() / "a.png", chart_file(), 1.5);
  const std::string bytes = read_file(folder.path() / "a.png", ExitCode::kFailure);
  EXPECT_EQ(bytes.substr(0, 8), "\x89PNG\r\n\x1a\n");
  EXPECT_EQ(big_endian(bytes, 16), 600u);  // IHDR: width, height
  EXPECT_EQ(big_endian(bytes, 20), 450u);
}

TEST(Png, TakesTheLightColours) {
  const std::string plain = without_css_variables(chart_file());
  EXPECT_THAT(plain, Not(HasSubstr("var(")));
  EXPECT_THAT(plain, HasSubstr("fill=\"#2a78d6\""));  // series 1 in light
}

TEST(Png, NamesTheFileThatCannotBeDrawn) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "a.png";
  EXPECT_THAT(error_of([&] { write_png(path, "no svg"); }, ExitCode::kFailure),
              HasSubstr(path.string() + ": the figure cannot be drawn"));
  EXPECT_FALSE(std::filesystem::exists(path));
}

/// A label with a brace stands before the style.
TEST(Png, FindsTheColoursBehindALabel) {
  const std::string svg =
      "<svg aria-label=\"yarn{2}\"><style>:root { --ink: #123456; }</style>"
      "<g fill=\"var(--ink)\"/></svg>";
  EXPECT_THAT(without_css_variables(svg), ::testing::HasSubstr("fill=\"#123456\""));
}

}  // namespace
}  // namespace longspan
