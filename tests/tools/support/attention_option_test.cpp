#include "tools/support/attention_option.h"

#include <gmock/gmock.h>

#include "tests/support/errors.h"
#include "tools/support/shared_options.h"

namespace longspan {
namespace {

using testing::HasSubstr;

constexpr Command kAttending{.name = "attending", .options = {kModelOptions}};

std::shared_ptr<AttentionPattern> attention_of(std::vector<std::string> words) {
  words.insert(words.begin(), "attending");
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  return read_attention_option(
      *parse_arguments(kAttending, static_cast<int>(argv.size()), argv.data()));
}

std::string attention_refused(const std::vector<std::string>& words) {
  return error_of([&] { attention_of(words); }, ExitCode::kUsage);
}

TEST(AttentionOption, IsTheModelsOwnWhereNothingIsSaid) { EXPECT_EQ(attention_of({}), nullptr); }

TEST(AttentionOption, IsANameOrAMap) {
  auto named = attention_of({"--attention", "sliding_window"});
  EXPECT_EQ(named->name(), "sliding_window");
  EXPECT_EQ(named->write(), Json({{"window", 4096}, {"sinks", 4}}));
  auto mapped = attention_of({"--attention", "{pattern: sliding_window, window: 64, sinks: 0}"});
  EXPECT_EQ(mapped->name(), "sliding_window");
  EXPECT_EQ(mapped->write(), Json({{"window", 64}, {"sinks", 0}}));
}

TEST(AttentionOption, TakesTheGroupSizeOfShiftedSparse) {
  auto pattern = attention_of({"--attention", "shifted_sparse", "--group-size", "1K"});
  EXPECT_EQ(pattern->write()["group_size"], 1024);
  EXPECT_EQ(attention_of({"--attention={pattern: shifted_sparse, group_size: 512}"})
                ->write()["group_size"],
            512);
  EXPECT_EQ(attention_refused({"--group-size", "64"}),
            "--group-size: is for --attention shifted_sparse, not the model's own");
  EXPECT_THAT(attention_refused(
                  {"--attention={pattern: shifted_sparse, group_size: 512}", "--group-size", "64"}),
              HasSubstr("expected one of the two"));
}

TEST(AttentionOption, NamesTheLayersOfShiftedSparse) {
  auto pattern = attention_of({"--attention={pattern: shifted_sparse, layers: [1, 3]}"});
  EXPECT_EQ(pattern->write()["layers"], Json({1, 3}));
  EXPECT_EQ(pattern->misfit(3, 9), "layers has 3, and the model's layers are 0 to 2");
}

TEST(AttentionOption, SaysWhatARecipeWouldSay) {
  EXPECT_THAT(attention_refused({"--attention", "ful"}),
              HasSubstr("'ful' is not known; expected one of full"));
  EXPECT_THAT(attention_refused({"--attention={pattern: sliding_window, widow: 9}"}),
              HasSubstr("--attention.widow: unknown key; did you mean 'window'?"));
  EXPECT_THAT(attention_refused({"--attention={pattern: sliding_window, window: 0}"}),
              HasSubstr("--attention.window: 0 is out of range"));
  EXPECT_THAT(attention_refused({"--attention={pattern: full, window: 9}"}),
              HasSubstr("--attention.window: unknown key"));
  EXPECT_THAT(attention_refused({"--attention=[full]"}), HasSubstr("expected a map"));
  EXPECT_THAT(attention_refused({"--attention={pattern"}), HasSubstr("--attention"));
}

}  // namespace
}  // namespace longspan
