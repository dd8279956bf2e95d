#include "data/store/document_scores.h"

#include <gmock/gmock.h>

#include "data/store/token_store_writer.h"
#include "tests/data/temporary_folder.h"

namespace longspan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A store of documents of 10, 20, 30 and 40 tokens.
class DocumentScores : public testing::Test {
 protected:
  DocumentScores() {
    TokenStoreWriter writer(folder_.path("t.h5"), "f", 100);
    for (int32_t i = 0; i < 4; ++i) {
      writer.append(fmt::format("{}", "abcd"[i]), std::vector<int32_t>(10 * (i + 1), i));
    }
    writer.commit();
    store_ = std::make_unique<TokenStore>(folder_.path("t.h5"));
  }

  std::filesystem::path scores(const std::string& lines) {
    folder_.write("scores.jsonl", lines);
    return folder_.path("scores.jsonl");
  }
  std::string error_of_scores(const std::string& lines) {
    std::string what;
    const auto path = scores(lines);
    EXPECT_EQ(exit_code_of([&] { documents_of_highest_scores(path, 1, *store_); }, &what), 4);
    return what;
  }

  const std::string all_ =
      "{\"document\": 0, \"name\": \"a\", \"tokens\": 10, \"score\": 0.5}\n"
      "{\"document\": 1, \"name\": \"b\", \"tokens\": 20, \"score\": -0.1}\n"
      "{\"document\": 3, \"name\": \"d\", \"tokens\": 40, \"score\": 0.25}\n"
      "{\"document\": 2, \"name\": \"c\", \"tokens\": 30, \"score\": 0.25, \"x\": 1}\n";
  TemporaryFolder folder_;
  std::unique_ptr<TokenStore> store_;
};

TEST_F(DocumentScores, KeepTheHighestUntilTheyHoldTheShareOfTheTokens) {
  const auto path = scores(all_);
  const auto kept = [&](double share) { return documents_of_highest_scores(path, share, *store_); };
  EXPECT_THAT(kept(0.01), ElementsAre(true, false, false, false));  // at least one
  EXPECT_THAT(kept(0.1), ElementsAre(true, false, false, false));
  EXPECT_THAT(kept(0.11), ElementsAre(true, false, true, false));  // of equal scores the first
  EXPECT_THAT(kept(0.5), ElementsAre(true, false, true, true));
  EXPECT_THAT(kept(1), ElementsAre(true, true, true, true));
}

TEST_F(DocumentScores, OfAnotherStoreAreRefused) {
  EXPECT_THAT(error_of_scores("{\"document\": 0, \"name\": \"a\", \"tokens\": 11, \"score\": 1}\n"),
              HasSubstr("scores.jsonl:1: document 0 has 11 tokens, and that of"));
  EXPECT_THAT(error_of_scores("{\"document\": 0, \"name\": \"b\", \"tokens\": 10, \"score\": 1}\n"),
              HasSubstr("is 'a' of 10"));
  EXPECT_THAT(error_of_scores("{\"document\": 4, \"name\": \"e\", \"tokens\": 10, \"score\": 1}\n"),
              HasSubstr("is none; score this store"));
}

TEST_F(DocumentScores, ThatAreDamagedOrLackADocumentAreRefused) {
  EXPECT_THAT(error_of_scores(all_.substr(0, 3 * all_.size() / 4)), HasSubstr("scores.jsonl:"));
  EXPECT_THAT(error_of_scores(all_.substr(0, all_.find("{\"document\": 2"))),
              HasSubstr("has no score of document 2, 'c'"));
  EXPECT_THAT(error_of_scores("[]\n"), HasSubstr("scores.jsonl:1: "));
  EXPECT_THAT(error_of_scores("{\"document\": 0}\n"), HasSubstr("score: is missing"));
}

}  // namespace
}  // namespace longspan
