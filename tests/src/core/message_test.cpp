#include "src/core/message.h"

#include <gmock/gmock.h>

#include "src/core/error.h"
#include "tests/support/errors.h"

namespace longspan {
namespace {

TEST(FormatMessage, ShowsAValueOnOneLineAndCut) {
  const std::string hostile = "a\nerror: all is lost\x1b[1A" + std::string(2000, 'x');
  const std::string message = format_message("{}: is {}", hostile, "bad");
  EXPECT_THAT(message, testing::StartsWith("a\\nerror: all is lost\\x1b[1Axxx"));
  EXPECT_THAT(message, testing::EndsWith("x: is bad"));
  EXPECT_LT(message.size(), 900u);
}

TEST(FormatMessage, LeavesTheProgramsOwnText) {
  EXPECT_EQ(format_message("a\n{}", "b\nc"), "a\nb\nc");
}

TEST(FormatMessage, TakesFormatsOfValues) {
  EXPECT_EQ(format_message("{:>4}|{:.2f}|{}|{}", std::string("ab"), 1.0, std::string_view("c"), 7),
            "  ab|1.00|c|7");
}

TEST(Fail, EscapesItemsThatAreJoined) {
  const std::vector<std::string> names = {"a\x1b", "b\xff"};
  EXPECT_EQ(error_of([&] { fail(ExitCode::kData, "one of {}", fmt::join(names, ", ")); },
                     ExitCode::kData),
            "one of a\\x1b, b\\xff");
}

}  // namespace
}  // namespace longspan
