#include "tools/support/json_lines.h"

#include <gtest/gtest.h>

#include "src/core/text.h"
#include "tests/support/temporary_folder.h"

namespace longspan {
namespace {

TEST(JsonLines, AreThereWhenAllOfThemAre) {
  const TemporaryFolder folder;
  const auto path = folder.path("answers.jsonl");
  {
    JsonLines lines(path);
    lines.add({{"text", "a\nb"}});
    lines.add({{"text", "\xff"}});  // no UTF-8
    EXPECT_FALSE(std::filesystem::exists(path));
    lines.commit("the answers");
  }
  EXPECT_EQ(read_file(path, ExitCode::kData),
            "{\"text\":\"a\\nb\"}\n{\"text\":\"\xEF\xBF\xBD\"}\n");
  JsonLines(folder.path("none.jsonl")).add({{"text", "x"}});
  EXPECT_FALSE(std::filesystem::exists(folder.path("none.jsonl")));
}

}  // namespace
}  // namespace longspan
