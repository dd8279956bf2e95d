#include "tools/support/memory_option.h"

#include <gmock/gmock.h>

#include "src/attention/focused_memory.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_llama.h"
#include "tests/trainer/eval/arms/arm_fixtures.h"
#include "tools/support/command.h"

namespace longspan {
namespace {

using testing::HasSubstr;

/// More tokens than any machine has room for, of 96 bytes each.
constexpr int64_t kTooMany = int64_t{1} << 44;

constexpr Command kRead{.name = "read", .options = {kMemoryOptions}};

class AnnouncedMemory : public testing::Test {
 protected:
  void remember(MemDtype dtype, const std::string& folder = "") {
    FocusedMemoryOptions options;
    options.mem_layers = {1};
    options.mem_dtype = dtype;
    options.mem_dir = folder;
    model_->set_attention(std::make_shared<FocusedMemoryAttention>(options));
  }
  std::string said(int64_t tokens) {
    testing::internal::CaptureStderr();
    announce_memory(*model_, tokens);
    return testing::internal::GetCapturedStderr();
  }
  std::string refused(ExitCode code) {
    return error_of([&] { announce_memory(*model_, kTooMany); }, code);
  }

  std::unique_ptr<CausalLm> model_ = random_model(tiny_llama_config());
  TemporaryFolder folder_;
};

TEST_F(AnnouncedMemory, IsNoneWithoutFocusedMemory) { EXPECT_EQ(said(kTooMany), ""); }

TEST_F(AnnouncedMemory, IsSaidInItsForm) {
  remember(MemDtype::kBFloat16);
  EXPECT_THAT(said(1 << 20),
              HasSubstr("1 of 2 layers remember 1,048,576 tokens as bfloat16: 96 MiB of RAM"));
  remember(MemDtype::kFloat32, folder_.path().string());
  EXPECT_THAT(said(1 << 20), HasSubstr("as float32: 192 MiB in " + folder_.path().string()));
}

TEST_F(AnnouncedMemory, NamesBothFiguresWhereRamHasNoRoom) {
  remember(MemDtype::kBFloat16);
  EXPECT_THAT(refused(ExitCode::kOutOfMemory),
              testing::AllOf(HasSubstr("memory of 17,592,186,044,416 tokens takes"),
                             HasSubstr("of RAM are free; take mem_dtype: int8 or int4, fewer "
                                       "mem_layers, or mem_dir: FOLDER")));
}

TEST_F(AnnouncedMemory, NamesBothFiguresWhereTheDiskHasNoRoom) {
  remember(MemDtype::kBFloat16, folder_.path().string());
  EXPECT_THAT(refused(ExitCode::kFailure),
              testing::AllOf(HasSubstr(folder_.path().string() + ": needs"), HasSubstr("of disk"),
                             HasSubstr("are free")));
}

/// What was loaded has its place already, and what is saved has to fit on the disk.
TEST_F(AnnouncedMemory, OfAReadingIsWithoutWhatWasLoaded) {
  const auto reading = [&](std::vector<std::string> words, int64_t loaded, int64_t tokens) {
    words.insert(words.begin(), "read");
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    const Arguments arguments = *parse_arguments(kRead, static_cast<int>(argv.size()), argv.data());
    testing::internal::CaptureStderr();
    const std::string error =
        error_of([&] { announce_reading(arguments, *model_, loaded, tokens); }, ExitCode::kFailure);
    return std::pair{error, testing::internal::GetCapturedStderr()};
  };
  remember(MemDtype::kBFloat16);
  EXPECT_THAT(reading({}, kTooMany, 1 << 20).second, HasSubstr("1,048,576 tokens as bfloat16"));
  const std::string file = (folder_.path() / "memory.safetensors").string();
  EXPECT_EQ(reading({"--save-memory", file}, 0, 1 << 20).first, "no error");
  EXPECT_THAT(reading({"--save-memory", file}, kTooMany, 1 << 20).first,
              testing::AllOf(HasSubstr("needs"), HasSubstr("of disk")));
}

TEST_F(AnnouncedMemory, IsThatOfEachArmThatReadsSo) {
  const ByteTokenizer tokenizer;
  const EvalSubject subject{*model_, tokenizer, {}};
  const std::vector<NamedArm> arms{{"full", make_arm("full")},
                                   {"far", arm_with("focused_memory", {{"mem_layers", {0, 1}}})}};
  testing::internal::CaptureStderr();
  announce_memory_of_arms(arms, subject, 1 << 20);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("2 of 2 layers remember"));
  EXPECT_THAT(
      error_of([&] { announce_memory_of_arms(arms, subject, kTooMany); }, ExitCode::kOutOfMemory),
      HasSubstr("tokens takes"));
  EXPECT_EQ(model_->attention().name(), "full");
}

}  // namespace
}  // namespace longspan
