#include "checkpoints/run_state/checkpoint_store.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace longspan {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class Checkpoints : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void make(const std::string& name) { std::filesystem::create_directories(folder_ / name); }

  std::filesystem::path folder_ = std::filesystem::temp_directory_path() /
                                  ("checkpoint_store_test-" + std::to_string(getpid()));
  CheckpointStore store_{folder_};
};

TEST_F(Checkpoints, HaveSixDigitsSoThatTheySort) {
  EXPECT_EQ(store_.place(10).filename(), "step-000010");
  EXPECT_EQ(store_.place(1234567).filename(), "step-1234567");
}

TEST_F(Checkpoints, AreListedByStep) {
  for (const char* name : {"step-000020", "step-000005", "step-1000000"}) make(name);
  EXPECT_THAT(store_.steps(), ElementsAre(5, 20, 1000000));
  EXPECT_EQ(store_.newest()->filename(), "step-1000000");
}

TEST_F(Checkpoints, LeaveOutWhatIsNotWhole) {
  for (const char* name : {"step-000020.part-77", "step-000030.part-77.older", "step-", "step-x",
                           "step-10", "steps-000001", "step--00001"}) {
    make(name);
  }
  std::ofstream(folder_ / "step-000040") << "a file";
  EXPECT_THAT(store_.steps(), IsEmpty());
  EXPECT_EQ(store_.newest(), std::nullopt);
}

TEST_F(Checkpoints, OfAFolderThatIsNotThereAreNone) {
  EXPECT_EQ(CheckpointStore(folder_ / "absent").newest(), std::nullopt);
  EXPECT_NO_THROW(CheckpointStore(folder_ / "absent").keep_last(1));
}

TEST_F(Checkpoints, KeepsTheNewest) {
  for (int step : {1, 2, 3, 4}) make(store_.place(step).filename());
  store_.keep_last(2);
  EXPECT_THAT(store_.steps(), ElementsAre(3, 4));
  store_.keep_last(5);
  EXPECT_THAT(store_.steps(), ElementsAre(3, 4));
}

TEST_F(Checkpoints, SetsAsideWhatIsBeyondAStep) {
  for (int step : {1, 2, 3}) make(store_.place(step).filename());
  make("step-000003.old");
  make("step-000003.old/of the time before");
  EXPECT_THAT(store_.set_aside_after(1),
              ElementsAre(folder_ / "step-000002.old", folder_ / "step-000003.old"));
  EXPECT_THAT(store_.steps(), ElementsAre(1));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "step-000003.old/of the time before"));
  EXPECT_THAT(store_.set_aside_after(1), IsEmpty());
}

TEST_F(Checkpoints, RetentionClearsWhatAKilledRunLeft) {
  make("step-000003.part-77");
  make("notes");
  store_.keep_last(1);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "step-000003.part-77"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "notes"));
}

}  // namespace
}  // namespace longspan
