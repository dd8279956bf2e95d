#include "data/store/loader.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "data/store/token_store_writer.h"
#include "tests/data/temporary_folder.h"

namespace longspan {
namespace {

/// Documents whose tokens count up over the whole store, so that a token says where it stands.
std::shared_ptr<const TokenStore> counting_store(const TemporaryFolder& folder,
                                                 const std::vector<int64_t>& lengths) {
  TokenStoreWriter writer(folder.path("t.h5"), "f", 1 << 20);
  int32_t next = 1;
  for (int64_t length : lengths) {
    std::vector<int32_t> ids(static_cast<size_t>(length));
    std::iota(ids.begin(), ids.end(), next);
    next += static_cast<int32_t>(length);
    writer.append("d", ids);
  }
  writer.commit();
  return std::make_shared<TokenStore>(folder.path("t.h5"));
}

TEST(Loader, LabelsEachTokenWithTheNextOfItsDocument) {
  TemporaryFolder folder;
  Loader loader(counting_store(folder, {40, 5, 6, 3}), {.packer = {.seq_len = 16}});
  int64_t labelled = 0;
  for (int64_t i = 0; i < 2; ++i) {
    Batch batch = loader.batch(2 * i, 2);
    ASSERT_EQ(batch.input_ids.size(), 32u);
    ASSERT_EQ(batch.labels.size(), 32u);
    int64_t count = 0;
    for (size_t t = 0; t < 32; ++t) {
      if (batch.labels[t] == -100) continue;
      ++count;
      EXPECT_EQ(batch.labels[t], batch.input_ids[t] + 1);
      EXPECT_THAT(batch.labels[t],
                  testing::AllOf(testing::Ne(41), testing::Ne(46), testing::Ne(52)));
    }
    EXPECT_EQ(count, batch.labelled_tokens);
    labelled += count;
  }
  EXPECT_EQ(labelled, 39 + 4 + 5 + 2);
}

TEST(Loader, SkipsPositionsUpToTheTargetAsAFunctionOfTheRow) {
  TemporaryFolder folder;
  const auto store = counting_store(folder, {1009});
  const LoaderOptions options{.packer = {.seq_len = 16}, .seed = 3, .target_length = 4096};
  const Loader loader(store, options);
  const Batch batch = loader.batch(5, 20);
  std::set<int64_t> jumps;
  int64_t farthest = 0;
  for (size_t row = 0; row < 20; ++row) {
    EXPECT_EQ(batch.position_ids[16 * row], 0);
    for (size_t t = 16 * row + 1; t < 16 * row + 16; ++t) {
      EXPECT_GT(batch.position_ids[t], batch.position_ids[t - 1]);
      EXPECT_EQ(batch.labels[t - 1], batch.input_ids[t]);  // the text goes on
      jumps.insert(batch.position_ids[t] - batch.position_ids[t - 1]);
    }
    farthest = std::max(farthest, batch.position_ids[16 * row + 15]);
  }
  EXPECT_EQ(batch.target_length, 4096);
  EXPECT_GT(jumps.size(), 15u);
  EXPECT_GT(farthest, 2048);
  EXPECT_LT(farthest, 4096);
  const Batch again = Loader(store, options).batch(7);
  EXPECT_TRUE(std::equal(again.position_ids.begin(), again.position_ids.end(),
                         batch.position_ids.begin() + 2 * 16));
}

TEST(Loader, CountsPlacesByContext) {
  TemporaryFolder folder;
  const Loader loader(counting_store(folder, {40, 4}), {.packer = {.seq_len = 16}});
  // Rows of 16, 16, and 7 with 3: contexts 0 1 | 2 3 | 4 to 7 | 8 to 15.
  EXPECT_THAT(loader.places_by_context(), testing::ElementsAre(8, 7, 11, 16));
}

TEST(Loader, ShufflesPassagesAndKeepsTheirWindowsSideBySide) {
  TemporaryFolder folder;
  const LoaderOptions options{.packer = {.seq_len = 4, .passage_rows = 3}, .seed = 3};
  Loader loader(counting_store(folder, {73}), options);
  ASSERT_EQ(loader.sequences(), 18);
  std::set<int64_t> begins;
  bool moved = false;
  for (int64_t passage = 0; passage < 6; ++passage) {
    const Batch batch = loader.batch(3 * passage, 3);
    EXPECT_EQ(batch.passage_rows, 3);
    const int64_t begin = batch.input_ids[0];
    for (int64_t i = 0; i < 12; ++i) EXPECT_EQ(batch.input_ids[i], begin + i);
    EXPECT_EQ(batch.position_ids, (std::vector<int64_t>{0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3}));
    moved |= begin != 1 + 12 * passage;
    begins.insert(begin);
    // Rows of another stage before it leave no passage in halves.
    EXPECT_EQ(loader.batch(3 * passage - 2 + (passage == 0 ? 2 : 0), 3).input_ids, batch.input_ids);
  }
  EXPECT_EQ(begins, (std::set<int64_t>{1, 13, 25, 37, 49, 61}));
  EXPECT_TRUE(moved);
}

TEST(Loader, SaysWhatDocumentsAPassageOfWindowsNeeds) {
  TemporaryFolder folder;
  const LoaderOptions options{.packer = {.seq_len = 8, .passage_rows = 4}};
  EXPECT_THAT([&] { Loader(counting_store(folder, {32}), options); },
              testing::ThrowsMessage<Error>(testing::HasSubstr("4 x seq_len + 1 = 33")));
}

TEST(Loader, RestartsPositionsWithEachPieceAndSetsPaddingApart) {
  TemporaryFolder folder;
  Loader loader(counting_store(folder, {5, 4}), {.packer = {.seq_len = 9}});
  Batch batch = loader.batch(0);
  using V = std::vector<int64_t>;
  EXPECT_EQ(batch.input_ids, (V{1, 2, 3, 4, 6, 7, 8, 0, 0}));
  EXPECT_EQ(batch.labels, (V{2, 3, 4, 5, 7, 8, 9, -100, -100}));
  EXPECT_EQ(batch.position_ids, (V{0, 1, 2, 3, 0, 1, 2, 0, 0}));
  EXPECT_EQ(batch.document_ids, (V{0, 0, 0, 0, 1, 1, 1, 2, 2}));
  EXPECT_EQ(batch.labelled_tokens, 7);
}

TEST(Loader, ReadsARowAsOneTextWithoutADocumentMask) {
  TemporaryFolder folder;
  const auto store = counting_store(folder, {5, 4});
  const PackerOptions packer{.seq_len = 11, .document_mask = false};
  const Batch batch = Loader(store, {.packer = packer}).batch(0);
  EXPECT_FALSE(batch.document_mask);
  using V = std::vector<int64_t>;
  EXPECT_EQ(batch.input_ids, (V{1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0}));
  EXPECT_EQ(batch.labels, (V{2, 3, 4, 5, -100, 7, 8, 9, -100, -100, -100}));
  EXPECT_EQ(batch.position_ids, (V{0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0}));
  EXPECT_EQ(batch.document_ids, (V{0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2}));
  EXPECT_EQ(batch.labelled_tokens, 7);
  // Positions skip once in the row.
  const Batch skipping = Loader(store, {.packer = packer, .target_length = 1000}).batch(0);
  int jumps = 0;
  for (size_t t = 1; t < 9; ++t) {
    EXPECT_GT(skipping.position_ids[t], skipping.position_ids[t - 1]);
    jumps += skipping.position_ids[t] != skipping.position_ids[t - 1] + 1;
  }
  EXPECT_EQ(jumps, 1);
  EXPECT_EQ(skipping.labels, batch.labels);
}

TEST(Loader, LeavesOutLabelsOfTokensThatAreNone) {
  TemporaryFolder folder;
  {
    TokenStoreWriter writer(folder.path("t.h5"), "f", 100);
    writer.append("a", {1, 2, 3, 4, 5, 6}, {1, 0, 1, 1, 0, 0});
    writer.append("b", {7, 8, 9});
    writer.append("c", {10, 11, 12, 13, 14, 15, 16, 17, 18}, std::vector<uint8_t>(9, 0));
    writer.commit();
  }
  Loader loader(std::make_shared<TokenStore>(folder.path("t.h5")),
                {.packer = {.seq_len = 8}, .shuffle = false});
  ASSERT_EQ(loader.sequences(), 2);
  Batch batch = loader.batch(0, 2);
  using V = std::vector<int64_t>;
  EXPECT_EQ(batch.input_ids, (V{10, 11, 12, 13, 14, 15, 16, 17, 1, 2, 3, 4, 5, 7, 8, 0}));
  EXPECT_EQ(batch.labels, (V{-100, -100, -100, -100, -100, -100, -100, -100,  //
                             -100, 3, 4, -100, -100, 8, 9, -100}));
  EXPECT_EQ(batch.labelled_tokens, 4);
  EXPECT_NO_THROW(loader.require_labels(batch.labelled_tokens, 0, 2));
}

TEST(Loader, NamesTheRowsThatHaveNoLabel) {
  TemporaryFolder folder;
  Loader loader(counting_store(folder, {9}), {.packer = {.seq_len = 4}});
  std::string what;
  EXPECT_EQ(exit_code_of([&] { loader.require_labels(0, 6, 3); }, &what), 4);
  EXPECT_THAT(what, testing::AllOf(testing::HasSubstr("t.h5: rows 6 to 8 (2 an epoch)"),
                                   testing::HasSubstr("no token that is a label")));
}

TEST(Loader, GivesEachRowOnceAnEpochInAnotherOrderEachTime) {
  TemporaryFolder folder;
  Loader loader(counting_store(folder, {101}), {.packer = {.seq_len = 10}});
  ASSERT_EQ(loader.sequences(), 10);
  std::vector<int64_t> order;  // batches of 3 from epochs of 10: some span two
  for (int64_t i = 0; i < 10; ++i) {
    Batch batch = loader.batch(3 * i, 3);
    for (size_t r = 0; r < 3; ++r) order.push_back(batch.input_ids[r * 10] / 10);
  }
  std::vector<std::vector<int64_t>> epochs;
  for (auto begin = order.begin(); begin != order.end(); begin += 10) {
    epochs.emplace_back(begin, begin + 10);
    EXPECT_THAT(epochs.back(), testing::UnorderedElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
  }
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_NE(epochs[1], epochs[2]);
}

TEST(Loader, IsAPureFunctionOfTheIndex) {
  TemporaryFolder folder;
  auto store = counting_store(folder, {300, 40, 7});
  LoaderOptions options{.packer = {.seq_len = 16}, .seed = 5};
  Loader one(store, options), other(store, options);
  std::map<int64_t, std::vector<int64_t>> ids;
  for (int64_t i = 0; i < 30; ++i) ids[i] = one.batch(i, 2).input_ids;
  for (int64_t i = 29; i >= 0; --i) EXPECT_EQ(other.batch(i, 2).input_ids, ids[i]) << i;
  options.seed = 6;
  EXPECT_NE(Loader(store, options).batch(0, 2).input_ids, ids[0]);
}

TEST(Loader, ShufflesAlikeWithEveryStandardLibrary) {
  TemporaryFolder folder;
  Loader loader(counting_store(folder, {81}), {.packer = {.seq_len = 10}, .seed = 1});
  std::vector<int64_t> order;
  for (int64_t i = 0; i < 8; ++i) order.push_back(loader.batch(i).input_ids[0] / 10);
  // mt19937_64 is fixed by the C++ standard; the rest is ours. Golden: reference/shuffle.py 1 0 8.
  EXPECT_EQ(order, (std::vector<int64_t>{6, 4, 3, 7, 0, 5, 2, 1}));
}

TEST(Loader, KeepsTheOrderWithoutShuffling) {
  TemporaryFolder folder;
  Loader loader(counting_store(folder, {41}), {.packer = {.seq_len = 10}, .shuffle = false});
  for (int64_t i = 0; i < 9; ++i) EXPECT_EQ(loader.batch(i).input_ids[0], 1 + 10 * (i % 4));
}

TEST(Loader, DrawsRowsOverDocuments) {
  TemporaryFolder folder;
  // Rows of 10: 0 to 19 of the first document, 20 of the second, 21 to 23 of the third.
  const Loader loader(counting_store(folder, {201, 11, 31}),
                      {.packer = {.seq_len = 10}, .shuffle = false});
  ASSERT_EQ(loader.sequences(), 24);
  std::set<int64_t> first_rows;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const std::vector<int64_t> three = loader.rows_over_documents(3, seed);
    ASSERT_EQ(three.size(), 3u);
    EXPECT_LT(three[0], 20);
    EXPECT_EQ(three[1], 20);
    EXPECT_GT(three[2], 20);
    first_rows.insert(three[0]);
    EXPECT_EQ(loader.rows_over_documents(3, seed), three);
    const std::vector<int64_t> five = loader.rows_over_documents(5, seed);
    EXPECT_THAT(five, testing::IsSupersetOf(three));
    EXPECT_EQ(std::count_if(five.begin(), five.end(), [](int64_t row) { return row > 20; }), 2);
  }
  EXPECT_GT(first_rows.size(), 5u);
  std::vector<int64_t> all(24);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(loader.rows_over_documents(100, 0), all);
}

TEST(Loader, SaysWhyNoDocumentCanBeUsed) {
  TemporaryFolder folder;
  auto store = counting_store(folder, {900, 1200});
  const auto refusal = [&](const PackerOptions& options) {
    std::string what;
    EXPECT_EQ(exit_code_of([&] { Loader(store, {.packer = options}); }, &what), 4);
    EXPECT_THAT(what, testing::StartsWith(folder.path("t.h5") +
                                          ": none of its 2 documents can be used: the longest has "
                                          "1,200 tokens; "));
    return what;
  };
  const std::string passages = refusal({.seq_len = 1200, .only_full_passages = true});
  EXPECT_THAT(passages, testing::HasSubstr("seq_len + 1 = 1,201"));
  EXPECT_THAT(passages, testing::HasSubstr("only_full_passages: false"));
  EXPECT_THAT(passages, testing::Not(testing::HasSubstr("min_document_tokens")));
  const std::string documents = refusal({.seq_len = 64, .min_document_tokens = 5000});
  EXPECT_THAT(documents, testing::HasSubstr("min_document_tokens wants 5,000"));
  EXPECT_THAT(documents, testing::Not(testing::HasSubstr("seq_len")));
}

}  // namespace
}  // namespace longspan
