#include "trainer/eval/window_loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/store/token_store_writer.h"
#include "tests/support/errors.h"
#include "tests/support/float32_bound.h"
#include "tests/trainer/eval/eval_fixtures.h"

namespace longspan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// What a loss is, is tested in perplexity_test.cpp.
TEST(WindowLoss, IsTheMeanOverItsTargets) {
  auto model = byte_model();
  std::vector<int64_t> ids{5, 80, 17, 3, 200, 41};
  double last = window_loss(*model, ids, 1);
  ids.pop_back();
  double before = window_loss(*model, ids, 1);
  ids.push_back(41);
  EXPECT_NEAR(window_loss(*model, ids, 2), (last + before) / 2,
              float32_bound(last, terms_of_loss(model->config(), 6)));
}

class FirstWindows : public ::testing::Test {
 protected:
  FirstWindows() {
    TokenStoreWriter writer(path_, "bytes", 256);
    writer.append("short", {1, 2});
    writer.append("long", {3, 4, 5, 6});
    writer.append("just", {7, 8, 9});
    writer.commit();
  }
  TemporaryFolder folder_;
  std::string path_ = folder_.path("texts.h5");
};

TEST_F(FirstWindows, AreOfTheDocumentsThatAreLongEnough) {
  TokenStore store(path_);
  EXPECT_THAT(first_windows(store, 3, 0), ElementsAre(ElementsAre(3, 4, 5), ElementsAre(7, 8, 9)));
  EXPECT_THAT(first_windows(store, 3, 1), ElementsAre(ElementsAre(3, 4, 5)));
}

TEST_F(FirstWindows, NoneNamesTheLongest) {
  TokenStore store(path_);
  EXPECT_THAT(error_of([&] { first_windows(store, 5, 0); }, ExitCode::kData),
              HasSubstr("has 5 tokens, the longest has 4"));
}

}  // namespace
}  // namespace longspan
