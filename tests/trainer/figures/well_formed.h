#pragma once

#include <gmock/gmock.h>

#include <regex>
#include <string>
#include <vector>

namespace longspan {
namespace {

/// Every element closed in order, every attribute quoted, no number that is none.
[[maybe_unused]] void expect_well_formed(const std::string& svg) {
  std::vector<std::string> open;
  std::regex tag(R"(<(/?)([a-z]+)((?:\s[a-zA-Z0-9-]+="[^"<]*")*)\s*(/?)>)");
  size_t end = 0;
  for (std::sregex_iterator it(svg.begin(), svg.end(), tag), last; it != last; ++it) {
    std::string between = svg.substr(end, it->position() - end);
    EXPECT_EQ(between.find_first_of("<>"), between.npos) << between;
    end = it->position() + it->length();
    if ((*it)[1].length()) {
      ASSERT_FALSE(open.empty());
      EXPECT_EQ(open.back(), (*it)[2].str());
      open.pop_back();
    } else if (!(*it)[4].length()) {
      open.push_back((*it)[2]);
    }
  }
  EXPECT_TRUE(open.empty());
  EXPECT_EQ(svg.find_first_of("<>", end), svg.npos);
  EXPECT_THAT(svg, testing::Not(testing::HasSubstr("nan")));
  EXPECT_THAT(svg, testing::Not(testing::HasSubstr("inf\"")));
}

}  // namespace
}  // namespace longspan
