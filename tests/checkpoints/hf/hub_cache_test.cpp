#include "checkpoints/hf/hub_cache.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>

#include "checkpoints/model_source.h"
#include "tests/checkpoints/model_folder.h"
#include "tests/checkpoints/temporary_folder.h"

namespace longspan {
namespace {

using testing::HasSubstr;

namespace fs = std::filesystem;

constexpr const char* kCommit = "0123456789abcdef0123456789abcdef01234567";

/// A cache with ORG/NAME at refs/main, and an environment that leads to it alone.
class HubCache : public testing::Test {
 protected:
  HubCache() {
    for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"}) {
      unsetenv(name);
    }
    setenv("HF_HOME", home_.c_str(), 1);
    write_model_folder(snapshot_, *random_model(tiny_llama_config()));
    write_ref("main", kCommit);
  }
  ~HubCache() override { unsetenv("HF_HOME"); }

  void write_ref(const std::string& revision, const std::string& content) {
    fs::path ref = repository_ / "refs" / revision;
    fs::create_directories(ref.parent_path());
    std::ofstream(ref) << content;
  }

  TemporaryFolder folder_;
  fs::path home_ = folder_.path() / "home", repository_ = home_ / "hub" / "models--Some-Org--a.b_c",
           snapshot_ = repository_ / "snapshots" / kCommit;
};

TEST_F(HubCache, FindsAModelByItsIdRevisionAndCommit) {
  write_ref("refs/pr/3", kCommit);
  EXPECT_EQ(find_model("Some-Org/a.b_c"), snapshot_);
  EXPECT_EQ(find_model("Some-Org/a.b_c@refs/pr/3"), snapshot_);
  EXPECT_EQ(find_model(std::string("Some-Org/a.b_c@") + kCommit), snapshot_);
  EXPECT_EQ(open_model_source("Some-Org/a.b_c")->path(), snapshot_);
}

TEST_F(HubCache, PrefersAPathThatExists) {
  EXPECT_EQ(find_model(snapshot_), snapshot_);
  EXPECT_EQ(find_model(snapshot_ / "model.safetensors"), snapshot_ / "model.safetensors");
}

TEST_F(HubCache, SaysWhereItLookedAndWhatToDo) {
  std::string message = error_of([] { find_model("Some-Org/other@v2"); });
  EXPECT_THAT(message, HasSubstr((home_ / "hub" / "models--Some-Org--other").string()));
  EXPECT_THAT(message, HasSubstr("longspan pull Some-Org/other --revision v2"));
  EXPECT_THAT(error_of([] { find_model("/no/such/folder"); }),
              HasSubstr("there is no such model; expected a Hugging Face folder"));
  write_ref("broken", "not a commit");
  EXPECT_THAT(error_of([] { find_model("Some-Org/a.b_c@broken"); }), HasSubstr("holds no commit"));
}

TEST_F(HubCache, FollowsTheVariablesOfHuggingfaceHub) {
  EXPECT_EQ(hub_cache_folder(), home_ / "hub");
  setenv("HUGGINGFACE_HUB_CACHE", "/old", 1);
  EXPECT_EQ(hub_cache_folder(), "/old");
  setenv("HF_HUB_CACHE", "~/newer", 1);
  EXPECT_EQ(hub_cache_folder(), fs::path(std::getenv("HOME")) / "newer");
  unsetenv("HF_HUB_CACHE");
  unsetenv("HUGGINGFACE_HUB_CACHE");
  unsetenv("HF_HOME");
  setenv("XDG_CACHE_HOME", "/cache", 1);
  EXPECT_EQ(hub_cache_folder(), "/cache/huggingface/hub");
  unsetenv("XDG_CACHE_HOME");
}

TEST(HubModel, IsNoPathThatLeavesTheCache) {
  for (const char* wrong : {"", "..", "../a", "a/../b", "/a/b", "a/b/c", "a--b", "a b", ".a/b",
                            "-a/b", "a/b@", "a/b@../c", "a/b@/c", "a/b@x\ny"}) {
    EXPECT_FALSE(parse_hub_model(wrong)) << wrong;
  }
  auto model = parse_hub_model("Some-Org/a.b_c@v1.0");
  ASSERT_TRUE(model);
  EXPECT_EQ(model->id, "Some-Org/a.b_c");
  EXPECT_EQ(model->revision, "v1.0");
  EXPECT_EQ(parse_hub_model("gpt2")->revision, "main");
}

}  // namespace
}  // namespace longspan
