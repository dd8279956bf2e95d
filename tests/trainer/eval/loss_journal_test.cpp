#include "trainer/eval/loss_journal.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <string_view>
#include <vector>

#include "src/rope/longrope_search.h"
#include "tests/support/errors.h"
#include "tests/trainer/eval/eval_fixtures.h"

namespace longspan {
namespace {

class LossJournalFile : public ::testing::Test {
 protected:
  /// A search on a made-up loss; dies by SIGKILL in the measurement after `survived` ones.
  LongRopeIndividual search(int survived = 1 << 20) {
    LossJournal journal(path_, {{"model", "made up"}});
    return search_longrope({.factor = 4, .population = 12, .iterations = 5, .seed = 3},
                           longrope_starts({16, 10000.0, 1000}, 4),
                           [&](const std::vector<double>& factors) {
                             return journal.loss_of(factors, [&] {
                               if (survived-- == 0) ::kill(::getpid(), SIGKILL);
                               ++measured_;
                               double sum = 0;
                               for (double factor : factors) sum += std::sin(7 * factor) / factor;
                               return sum;
                             });
                           });
  }

  std::string error_of(const Json& identity) {
    return longspan::error_of([&] { LossJournal journal(path_, identity); }, ExitCode::kCheckpoint);
  }

  TemporaryFolder folder_;
  std::string path_ = folder_.path("found.json.state");
  int measured_ = 0;
};

TEST_F(LossJournalFile, ASearchThatWasKilledGoesOnWithTheSameResult) {
  auto whole = search();
  int all = measured_;
  ASSERT_EQ(all, 12 + 5 * 6);
  for (int survived : {1, 20}) {
    std::filesystem::remove(path_);
    pid_t child = ::fork();
    if (child == 0) {
      search(survived);
      ::_exit(0);  // not reached
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    measured_ = 0;
    auto resumed = search();
    EXPECT_EQ(measured_, all - survived);
    EXPECT_EQ(resumed.rescale_factors, whole.rescale_factors);
    EXPECT_EQ(resumed.loss, whole.loss);
  }
}

TEST_F(LossJournalFile, KeepsEveryBitOfQuestionAndLoss) {
  double third = 1.0 / 3;
  {
    LossJournal journal(path_, {{"model", "a"}});
    EXPECT_EQ(journal.loss_of({{"factor", third}}, [&] { return third; }), third);
  }
  LossJournal again(path_, {{"model", "a"}});
  EXPECT_EQ(again.size(), 1u);
  auto never = []() -> double { throw std::logic_error("measured again"); };
  EXPECT_EQ(again.loss_of({{"factor", third}}, never), third);
}

TEST_F(LossJournalFile, LossesOfAnotherRunAreRefused) {
  LossJournal(path_, {{"length", 4096}}).loss_of(1, [] { return 2.0; });
  EXPECT_EQ(error_of({{"length", 8192}}),
            path_ +
                ": holds the answers of another run: its length is 4096, here it is 8192; give "
                "the same command, remove the file, or name another file");
}

TEST_F(LossJournalFile, GrowsByALineALossAndRepeatsNone) {
  LossJournal journal(path_, {{"model", "a"}});
  std::vector<uintmax_t> sizes;
  for (int question = 1; question <= 3; ++question) {
    journal.loss_of(question, [] { return 2.5; });
    sizes.push_back(std::filesystem::file_size(path_));
  }
  const uintmax_t line = std::string_view("{\"question\":\"1\",\"found\":2.5}\n").size();
  EXPECT_EQ(sizes[1] - sizes[0], line);
  EXPECT_EQ(sizes[2] - sizes[1], line);
}

TEST_F(LossJournalFile, ALossThatIsNoNumberIsAnError) {
  folder_.write("found.json.state", "{\"identity\":{}}\n{\"question\":\"1\",\"found\":\"low\"}\n");
  LossJournal journal(path_, Json::object());
  EXPECT_EQ(
      longspan::error_of([&] { journal.loss_of(1, [] { return 2.0; }); }, ExitCode::kCheckpoint),
      path_ + ": line 2: answers 1 by \"low\", expected a loss; remove the file");
}

}  // namespace
}  // namespace longspan
