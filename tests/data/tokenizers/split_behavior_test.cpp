#include "data/tokenizers/split_behavior.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace longspan {
namespace {

// "the-final--countdown" split at each "-": the example of tokenizers' SplitDelimiterBehavior.
std::string pieces(SplitBehavior behavior) {
  const std::string text = "the-final--countdown";
  std::vector<SplitSpan> spans;
  for (size_t at = 0; at < text.size();) {
    size_t end = text[at] == '-' ? at + 1 : std::min(text.find('-', at), text.size());
    spans.push_back({at, end, text[at] == '-'});
    at = end;
  }
  std::string joined;
  for (const auto& span : apply_split_behavior(behavior, spans)) {
    joined += text.substr(span.begin, span.end - span.begin) + "|";
  }
  return joined;
}

TEST(SplitBehavior, CutsAsItsNameSays) {
  EXPECT_EQ(pieces(SplitBehavior::kRemoved), "the|final|countdown|");
  EXPECT_EQ(pieces(SplitBehavior::kIsolated), "the|-|final|-|-|countdown|");
  EXPECT_EQ(pieces(SplitBehavior::kMergedWithPrevious), "the-|final-|-|countdown|");
  EXPECT_EQ(pieces(SplitBehavior::kMergedWithNext), "the|-final|-|-countdown|");
  EXPECT_EQ(pieces(SplitBehavior::kContiguous), "the|-|final|--|countdown|");
}

TEST(SplitBehavior, HasTheNamesOfTokenizerJson) {
  for (const char* name :
       {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"}) {
    ASSERT_TRUE(split_behavior_named(name)) << name;
    EXPECT_EQ(name_of(*split_behavior_named(name)), name);
  }
  EXPECT_FALSE(split_behavior_named("removed"));
}

}  // namespace
}  // namespace longspan
