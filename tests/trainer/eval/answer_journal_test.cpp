#include "trainer/eval/answer_journal.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <fstream>
#include <string_view>

#include "src/core/text.h"
#include "src/rope/longrope_search.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

namespace longspan {
namespace {

using ::testing::HasSubstr;

class Journal : public ::testing::Test {
 protected:
  std::string error_of(const Json& identity) {
    return longspan::error_of([&] { AnswerJournal(path_, identity); }, ExitCode::kCheckpoint);
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path("out.json.journal");
  Json identity_ = {{"weights", "abc"}, {"dtype", "float32"}};
};

TEST_F(Journal, GoesOnWithWhatWasFound) {
  {
    AnswerJournal journal(path_, identity_);
    EXPECT_FALSE(std::filesystem::exists(path_));
    EXPECT_EQ(journal.find("one"), nullptr);
    journal.add("one", {{"nll", 1.0 / 3}});
    journal.add("two", {{"text", "caf\xc3\xa9"}});
  }
  AnswerJournal journal(path_, identity_);
  EXPECT_EQ(journal.size(), 2u);
  EXPECT_EQ(journal.find("one")->at("nll"), 1.0 / 3);
  EXPECT_EQ(journal.find("two")->at("text"), "caf\xc3\xa9");
  journal.remove();
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(Journal, ALineThatWasCutOffIsAskedAgain) {
  AnswerJournal(path_, identity_).add("one", 1);
  for (const char* torn : {"{\"question\": \"two\", \"fou", ""}) {
    std::ofstream(path_, std::ios::app) << torn;
    AnswerJournal journal(path_, identity_);
    EXPECT_EQ(journal.find("two"), nullptr);
  }
  AnswerJournal(path_, identity_).add("two", 2);
  EXPECT_EQ(*AnswerJournal(path_, identity_).find("two"), 2);
}

TEST_F(Journal, AFileOfAnotherKindIsRefusedAndStaysAsItIs) {
  for (const char* text : {"", "{\"identi", "{\"rope_type\": \"yarn\"}",
                           "{\"rope_type\": \"yarn\"}\n", "[]\n", "{\n  \"identity\": {}\n}\n"}) {
    folder_.write("out.json.journal", text);
    EXPECT_THAT(error_of(identity_), HasSubstr("is no journal of answers; remove the file"))
        << text;
    EXPECT_EQ(read_file(path_, ExitCode::kData), text);
  }
}

TEST_F(Journal, OfAnotherRunOrDamagedIsRefused) {
  AnswerJournal(path_, identity_).add("one", 1);
  Json other = identity_;
  other["dtype"] = "bfloat16";
  EXPECT_THAT(error_of(other), HasSubstr("its dtype is \"float32\", here it is \"bfloat16\""));
  EXPECT_EQ(error_of(identity_), "no error");
  const std::string whole = read_file(path_, ExitCode::kData);
  for (const char* line :
       {"{]\n", "3\n", "{\"question\": \"x\"}\n", "{\"question\": 3, \"found\": 1}\n"}) {
    folder_.write("out.json.journal", whole + line);
    EXPECT_THAT(error_of(identity_), HasSubstr("line 3")) << line;
  }
}

/// Also where neither had answered anything when the other began.
TEST_F(Journal, IsOfOneRunAtATime) {
  AnswerJournal first(path_, identity_), late(path_, identity_);
  first.add("one", 1);
  const auto refusal = [](const auto& call) {
    return longspan::error_of(call, ExitCode::kFailure);
  };
  EXPECT_THAT(refusal([&] { AnswerJournal(path_, identity_); }),
              HasSubstr("another process is writing it"));
  EXPECT_THAT(refusal([&] { late.add("two", 2); }), HasSubstr("another process is writing it"));
  first.add("two", 3);
  first = {};
  EXPECT_EQ(*AnswerJournal(path_, identity_).find("two"), 3);
}

TEST_F(Journal, IsOfOneRunAfterALineThatWasCutOff) {
  AnswerJournal(path_, identity_).add("one", 1);
  std::ofstream(path_, std::ios::app) << "{";
  const AnswerJournal journal(path_, identity_);
  EXPECT_THROW(AnswerJournal(path_, identity_), Error);
}

TEST(AnswerJournal, WithoutAFileRemembersAllTheSame) {
  AnswerJournal journal;
  journal.add("one", 1);
  EXPECT_EQ(*journal.find("one"), 1);
}

class JournalOfNumbers : public ::testing::Test {
 protected:
  /// A search on a made-up loss; dies by SIGKILL in the measurement after `survived` ones.
  LongRopeIndividual search(int survived = 1 << 20) {
    AnswerJournal journal(path_, {{"model", "made up"}});
    return search_longrope({.factor = 4, .population = 12, .iterations = 5, .seed = 3},
                           longrope_starts({16, 10000.0, 1000}, 4),
                           [&](const std::vector<double>& factors) {
                             return journal.number(factors, [&] {
                               if (survived-- == 0) ::kill(::getpid(), SIGKILL);
                               ++measured_;
                               double sum = 0;
                               for (double factor : factors) sum += std::sin(7 * factor) / factor;
                               return sum;
                             });
                           });
  }

  std::string error_of(const Json& identity) {
    return longspan::error_of([&] { AnswerJournal journal(path_, identity); },
                              ExitCode::kCheckpoint);
  }

  TemporaryFolder folder_;
  std::string path_ = folder_.path("found.json.state");
  int measured_ = 0;
};

TEST_F(JournalOfNumbers, ASearchThatWasKilledGoesOnWithTheSameResult) {
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

TEST_F(JournalOfNumbers, KeepsEveryBitOfQuestionAndAnswer) {
  double third = 1.0 / 3;
  {
    AnswerJournal journal(path_, {{"model", "a"}});
    EXPECT_EQ(journal.number({{"factor", third}}, [&] { return third; }), third);
  }
  AnswerJournal again(path_, {{"model", "a"}});
  EXPECT_EQ(again.size(), 1u);
  auto never = []() -> double { throw std::logic_error("measured again"); };
  EXPECT_EQ(again.number({{"factor", third}}, never), third);
}

TEST_F(JournalOfNumbers, AnswersOfAnotherRunAreRefused) {
  AnswerJournal(path_, {{"length", 4096}}).number(1, [] { return 2.0; });
  EXPECT_EQ(error_of({{"length", 8192}}),
            path_ +
                ": holds the answers of another run: its length is 4096, here it is 8192; give "
                "the same command, remove the file, or name another file");
}

TEST_F(JournalOfNumbers, GrowsByALineAnAnswerAndRepeatsNone) {
  AnswerJournal journal(path_, {{"model", "a"}});
  std::vector<uintmax_t> sizes;
  for (int question = 1; question <= 3; ++question) {
    journal.number(question, [] { return 2.5; });
    sizes.push_back(std::filesystem::file_size(path_));
  }
  const uintmax_t line = std::string_view("{\"question\":\"1\",\"found\":2.5}\n").size();
  EXPECT_EQ(sizes[1] - sizes[0], line);
  EXPECT_EQ(sizes[2] - sizes[1], line);
}

TEST_F(JournalOfNumbers, AnAnswerThatIsNoNumberIsAnError) {
  folder_.write("found.json.state", "{\"identity\":{}}\n{\"question\":\"1\",\"found\":\"low\"}\n");
  AnswerJournal journal(path_, Json::object());
  EXPECT_EQ(
      longspan::error_of([&] { journal.number(1, [] { return 2.0; }); }, ExitCode::kCheckpoint),
      path_ + ": line 2: answers 1 by \"low\", expected a number; remove the file");
}

}  // namespace
}  // namespace longspan
