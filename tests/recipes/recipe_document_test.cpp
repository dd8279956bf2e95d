#include "recipes/recipe_document.h"

#include <gmock/gmock.h>

#include "recipes/recipe_schema.h"
#include "src/core/text.h"
#include "tests/support/places.h"

namespace longspan {
namespace {

using testing::HasSubstr;

const std::string& document() {
  static const std::string text = recipe_document(recipe_schema());
  return text;
}

TEST(RecipeDocument, IsTheOneInDocs) {
  EXPECT_EQ(read_file(source_folder() / "docs/recipes.md", ExitCode::kFailure), document())
      << "run: build/longspan schema --markdown > docs/recipes.md";
}

TEST(RecipeDocument, HasARowForEachKey) {
  EXPECT_THAT(document(), HasSubstr("\n| `r` | 8 | the rank |\n"));
  EXPECT_THAT(document(), HasSubstr("\n| `path` | needed | a token store |\n"));
  EXPECT_THAT(document(), HasSubstr("\n| `dtype` | `bfloat16` | `bfloat16` or `float32`: what"));
  EXPECT_THAT(document(), HasSubstr("\n| `betas` | `[0.9, 0.95]` |"));
  EXPECT_THAT(document(), HasSubstr("\n| `offload_dir` | `output.dir` |"));
  EXPECT_THAT(document(), HasSubstr("\n| `groups[].pattern` | needed | a regular expression"));
}

TEST(RecipeDocument, SaysWhichFormsHaveAKey) {
  EXPECT_THAT(document(), HasSubstr("\n| `factor` | needed | all but default: the new length"));
  EXPECT_THAT(document(), HasSubstr("\n| `beta_fast` | 32 | yarn: dimensions"));
  EXPECT_THAT(document(), HasSubstr("| yarn, longrope: what cos and sin"));
  EXPECT_THAT(document(), HasSubstr("| `pattern` | `full` | `full`, `shifted_sparse`, "));
}

TEST(RecipeDocument, HasNoLineTooLongOutsideItsTables) {
  for (const auto& line : split(document(), '\n')) {
    EXPECT_TRUE(line.starts_with("|") || line.size() <= 125) << line;
  }
}

}  // namespace
}  // namespace longspan
