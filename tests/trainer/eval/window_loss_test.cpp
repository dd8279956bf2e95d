#include "trainer/eval/window_loss.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "data/store/token_store_writer.h"
#include "src/attention/focused_memory.h"
#include "src/nn/chunked_cross_entropy.h"
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

std::shared_ptr<AttentionPattern> memory_of(int64_t search_pages) {
  FocusedMemoryOptions options;
  options.mem_layers = {0};
  options.lengths = {.window = 32, .last_context = 16};
  options.search_pages = search_pages;
  options.search_page_tokens = 4;
  return std::make_shared<FocusedMemoryAttention>(options);
}

/// Of two windows the second finds a page of the first, or sees all of it; one pass without a state
/// sees all of it whatever the keys say.
TEST(WindowLoss, SearchesAMemoryAsReadingOnDoes) {
  auto model = byte_model();
  std::vector<int64_t> ids;
  for (const char letter : some_text(48)) ids.push_back(letter);
  const int64_t targets = std::ssize(ids) - 1;
  const auto losses_by = [&](int64_t search_pages) {
    model->set_attention(memory_of(search_pages));
    return window_losses(*model, ids, targets);
  };
  const std::vector<double> whole = losses_by(0), all_pages = losses_by(8), found = losses_by(1);
  at::NoGradGuard no_gradients;
  const at::Tensor input = at::tensor(ids, at::kLong);
  const at::Tensor at_once = token_cross_entropy(
      model->hidden_states({input.unsqueeze(0), {}, {}}).squeeze(0).narrow(0, 0, targets),
      model->lm_head_weight(), input.narrow(0, 1, targets));
  ASSERT_EQ(std::ssize(found), targets);
  double furthest = 0;
  for (int64_t i = 0; i < targets; ++i) {
    const auto dense = at_once[i].item<double>();
    const double bound = float32_bound(dense, terms_of_loss(model->config(), 48));
    EXPECT_NEAR(whole[i], dense, bound) << i;
    EXPECT_EQ(all_pages[i], whole[i]) << i;
    if (i <= 32) {  // of the first window, and of the token that closes it
      EXPECT_NEAR(found[i], dense, bound) << i;
    } else {
      furthest = std::max(furthest, std::abs(found[i] - dense) / bound);
    }
  }
  EXPECT_GT(furthest, 10);
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
