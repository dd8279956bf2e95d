#include "data/tokenizers/unicode_scripts.h"

#include <gtest/gtest.h>

#include <string>

namespace longspan {
namespace {

std::string parts(const std::string& text) {
  std::string joined;
  for (const auto& span : script_spans(text)) {
    joined += text.substr(span.begin, span.end - span.begin) + "|";
  }
  return joined;
}

// tokenizers 0.23.3: UnicodeScripts().pre_tokenize_str; the first two are its own tests.
TEST(UnicodeScripts, CutsWhereTheScriptChanges) {
  EXPECT_EQ(parts("どこで生れ。Yes"), "どこで生れ|。|Yes|");
  EXPECT_EQ(parts("Apples are りんご 林檎"), "Apples are |りんご 林檎|");
  EXPECT_EQ(parts("サーバーa1b"), "サーバー|a|1|b|");
  EXPECT_EQ(parts("A\u0301\u05d0"), "A|\u0301|\u05d0|");
}

TEST(UnicodeScripts, LeavesOutWhatStandsBeforeTheFirstScript) {
  EXPECT_EQ(parts("  a b"), "a b|");
  EXPECT_EQ(parts("   "), "");
  EXPECT_EQ(parts(""), "");
}

// U+20BF came with Unicode 10, U+E000 has no script.
TEST(UnicodeScripts, YoungerCharactersEndNoPart) {
  EXPECT_EQ(parts("a\u20bfb\ue000c"), "a\u20bfb\ue000c|");
}

}  // namespace
}  // namespace longspan
