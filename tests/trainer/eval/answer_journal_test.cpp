#include "trainer/eval/answer_journal.h"

#include <gmock/gmock.h>

#include <fstream>

#include "src/core/text.h"
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

}  // namespace
}  // namespace longspan
