#include "data/store/tokens_fingerprint.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "data/store/token_store.h"
#include "data/store/token_store_writer.h"
#include "tests/data/temporary_folder.h"

namespace longspan {
namespace {

/// Of two documents of `tokens` each.
std::string tokens_fingerprint_of(const std::function<int32_t(int64_t)>& id, int64_t tokens,
                                  const char* name = "b") {
  TemporaryFolder folder;
  TokenStoreWriter writer(folder.path("t.h5"), "f", 1 << 10);
  for (int64_t document = 0; document < 2; ++document) {
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < tokens; ++i) ids.push_back(id(document * tokens + i));
    writer.append(document == 0 ? "a" : name, ids);
  }
  writer.commit();
  return tokens_fingerprint(TokenStore(folder.path("t.h5")));
}

TEST(TokensFingerprint, IsThatOfDocumentsAndIds) {
  const auto ids = [](int64_t i) { return static_cast<int32_t>(i % 900); };
  const std::string first = tokens_fingerprint_of(ids, 5000);
  EXPECT_EQ(first.size(), 64u);
  EXPECT_EQ(tokens_fingerprint_of(ids, 5000), first);
  EXPECT_NE(tokens_fingerprint_of(ids, 4999), first);
  EXPECT_NE(tokens_fingerprint_of(ids, 5000, "c"), first);
  for (int64_t changed : {0, 4096, 9999}) {
    EXPECT_NE(tokens_fingerprint_of([&](int64_t i) { return i == changed ? 901 : ids(i); }, 5000),
              first);
  }
}

TEST(TokensFingerprint, CountsWhatIsNoLabel) {
  TemporaryFolder folder;
  const auto fingerprint = [&](const std::vector<uint8_t>& is_label) {
    const std::string path = folder.path("t.h5");
    TokenStoreWriter writer(path, "f", 8);
    writer.append("a", {1, 2, 3}, is_label);
    writer.commit();
    const std::string of_store = tokens_fingerprint(TokenStore(path));
    std::filesystem::remove(path);
    return of_store;
  };
  EXPECT_EQ(fingerprint({}), fingerprint({1, 1, 1}));
  EXPECT_NE(fingerprint({}), fingerprint({0, 1, 1}));
  EXPECT_NE(fingerprint({1, 0, 1}), fingerprint({0, 1, 1}));
}

TEST(TokensFingerprint, SamplesALargeStoreFromTheFirstIdToTheLast) {
  constexpr int64_t kHalf = (int64_t{1} << 23) + 5000;
  const auto ids = [](int64_t i) { return static_cast<int32_t>(i % 900); };
  const std::string before = tokens_fingerprint_of(ids, kHalf);
  EXPECT_NE(tokens_fingerprint_of([&](int64_t i) { return i == 0 ? 901 : ids(i); }, kHalf), before);
  EXPECT_NE(tokens_fingerprint_of([&](int64_t i) { return ids(i) == 7 ? 901 : ids(i); }, kHalf),
            before);
}

}  // namespace
}  // namespace longspan
