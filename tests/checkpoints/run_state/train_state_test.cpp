#include "checkpoints/run_state/train_state.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

#include "src/core/text.h"
#include "tests/support/errors.h"

namespace longspan {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class TrainStateFolder : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_);
    state_.step = 12;
    state_.tokens = 34567;
    state_.identity = {{"train", {{"seed", 1}}}};
    for (const char* name : {"b.weight", "a.weight"}) {
      state_.weights.push_back({name, at::randn({3, 2}), at::randn({3, 2}), at::randn({3, 2})});
    }
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
  }
  std::string read(const std::string& name) const {
    return read_file(folder_ / name, ExitCode::kFailure);
  }

  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("train_state_test-" + std::to_string(getpid()));
  TrainState state_;
};

std::string checkpoint_error(const std::function<void()>& act) {
  return error_of(act, ExitCode::kCheckpoint);
}

TEST_F(TrainStateFolder, ComesBackBitForBit) {
  write_train_state(folder_, state_);
  TrainState back = read_train_state(folder_);
  EXPECT_EQ(back.step, 12);
  EXPECT_EQ(back.tokens, 34567);
  EXPECT_EQ(back.identity, state_.identity);
  ASSERT_EQ(back.weights.size(), 2u);
  for (const auto& weight : back.weights) {
    const auto& original = state_.weights[weight.name == "b.weight" ? 0 : 1];
    EXPECT_TRUE(at::equal(weight.master, original.master));
    EXPECT_TRUE(at::equal(weight.exp_avg, original.exp_avg));
    EXPECT_TRUE(at::equal(weight.exp_avg_sq, original.exp_avg_sq));
  }
}

TEST_F(TrainStateFolder, MomentsIn8BitsComeBackWithTheirScales) {
  at::Tensor codes = at::randint(0, 256, {3, 2}, at::kByte), absmax = at::randn({1});
  state_.weights[0] = {"b.weight", at::randn({3, 2}), codes, codes + 1, absmax, absmax + 1};
  write_train_state(folder_, state_);
  TrainState back = read_train_state(folder_);
  const bool first = back.weights[0].name == "b.weight";
  const auto &of_8_bits = back.weights[first ? 0 : 1], &of_32_bits = back.weights[first ? 1 : 0];
  EXPECT_TRUE(at::equal(of_8_bits.exp_avg, codes));
  EXPECT_TRUE(at::equal(of_8_bits.exp_avg_sq, codes + 1));
  EXPECT_TRUE(at::equal(of_8_bits.exp_avg_absmax, absmax));
  EXPECT_TRUE(at::equal(of_8_bits.exp_avg_sq_absmax, absmax + 1));
  EXPECT_FALSE(of_32_bits.exp_avg_absmax.defined());
}

TEST_F(TrainStateFolder, AFolderWithoutStateIsNoCheckpoint) {
  EXPECT_THAT(checkpoint_error([&] { read_train_state(folder_); }), HasSubstr("no checkpoint"));
}

TEST_F(TrainStateFolder, DamagedStateIsAnErrorThatNamesTheFile) {
  write_train_state(folder_, state_);
  for (const char* text : {"", "{", "[]", "{\"step\": \"x\"}", "{\"format_version\": 1}"}) {
    std::ofstream(folder_ / "state.json") << text;
    EXPECT_THAT(checkpoint_error([&] { read_train_state(folder_); }), HasSubstr("state.json"))
        << text;
  }
}

/// The file with the lowest bit of the byte at `place` turned over.
std::string with_a_flipped_bit(std::string bytes, size_t place) {
  bytes[place] = static_cast<char>(bytes[place] ^ 1);
  return bytes;
}

TEST_F(TrainStateFolder, ABitOfAnyFileThatFlippedIsAnErrorThatNamesTheFile) {
  write("adapter_model.safetensors", "what was trained");
  write("adapter_config.json", "{\"r\": 8}");
  write_train_state(folder_, state_);
  for (const char* name :
       {"adapter_model.safetensors", "adapter_config.json", "optimizer.safetensors"}) {
    const std::string whole = read(name);
    for (size_t place : {size_t{0}, whole.size() / 2, whole.size() - 1}) {
      write(name, with_a_flipped_bit(whole, place));
      EXPECT_THAT(checkpoint_error([&] { read_train_state(folder_); }),
                  AllOf(HasSubstr(std::string(name) + ": is not as the run wrote it"),
                        HasSubstr("resume from an older checkpoint by --resume=PATH")))
          << place;
    }
    write(name, whole);
    EXPECT_EQ(read_train_state(folder_).step, 12);
  }
}

TEST_F(TrainStateFolder, ABitOfStateJsonThatFlippedIsAnErrorWhereverItIs) {
  write_train_state(folder_, state_);
  const std::string whole = read("state.json");
  for (size_t place = 0; place < whole.size(); ++place) {
    write("state.json", with_a_flipped_bit(whole, place));
    EXPECT_THAT(checkpoint_error([&] { read_train_state(folder_); }), HasSubstr("state.json"))
        << place;
  }
}

// FIPS 180-4, examples: SHA-256 of "abc".
TEST_F(TrainStateFolder, StateJsonHasTheSha256OfTheFilesBesideIt) {
  write("config.json", "abc");
  write_train_state(folder_, state_);
  const Json digests = read_json_file(folder_ / "state.json", ExitCode::kFailure)["files_sha256"];
  EXPECT_EQ(digests.size(), 2u);
  EXPECT_TRUE(digests.contains("optimizer.safetensors"));
  EXPECT_EQ(digests["config.json"],
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_F(TrainStateFolder, AFileThatIsGoneIsAnErrorThatNamesIt) {
  write("adapter_model.safetensors", "what was trained");
  write_train_state(folder_, state_);
  std::filesystem::remove(folder_ / "adapter_model.safetensors");
  EXPECT_THAT(checkpoint_error([&] { read_train_state(folder_); }),
              HasSubstr("adapter_model.safetensors: is missing"));
}

TEST_F(TrainStateFolder, WhatIsWrittenBesideItLaterIsOfNoConcern) {
  write_train_state(folder_, state_);
  write("README.md", "a card");
  EXPECT_EQ(read_train_state(folder_).step, 12);
}

TEST_F(TrainStateFolder, OfTheVersionWithoutDigestsIsReadAsItIs) {
  write("config.json", "{}");
  write_train_state(folder_, state_);
  Json json = read_json_file(folder_ / "state.json", ExitCode::kFailure);
  for (const char* key : {"files_sha256", "sha256"}) json.erase(key);
  json["format_version"] = 1;
  write_json_file(folder_ / "state.json", json);
  write("config.json", "{\"changed\": true}");
  const TrainState back = read_train_state(folder_);
  EXPECT_EQ(back.step, 12);
  EXPECT_EQ(back.identity, state_.identity);
  EXPECT_EQ(back.weights.size(), 2u);
}

TEST_F(TrainStateFolder, ANewerVersionIsRefused) {
  write_train_state(folder_, state_);
  write_json_file(folder_ / "state.json", {{"format_version", 99}});
  EXPECT_THAT(checkpoint_error([&] { read_train_state(folder_); }), HasSubstr("newer"));
}

TEST(Identity, EqualOnesPass) {
  Json identity = {{"lora", {{"r", 8}}}, {"stages", {{{"steps", 1}}}}};
  EXPECT_NO_THROW(require_same_identity(identity, identity, "x"));
  EXPECT_NO_THROW(
      require_same_identity(parse_json(identity.dump(), "", ExitCode::kCheckpoint), identity, "x"));
}

TEST(Identity, NamesEachKeyThatDiffersWithBothValues) {
  Json saved = {{"lora", {{"r", 8}, {"gone", 1}}}, {"stages", {{{"steps", 1}}, {{"steps", 2}}}}};
  Json now = {{"lora", {{"r", 16}}}, {"stages", {{{"steps", 1}}, {{"steps", 3}}}}, {"more", 1}};
  std::string message = checkpoint_error([&] { require_same_identity(saved, now, "runs/a"); });
  EXPECT_THAT(message, AllOf(HasSubstr("lora.r: 8 in the checkpoint, 16 now"),
                             HasSubstr("lora.gone: 1 in the checkpoint, nothing now"),
                             HasSubstr("stages.1.steps: 2 in the checkpoint, 3 now"),
                             HasSubstr("more: nothing in the checkpoint, 1 now")));
  EXPECT_THAT(message, Not(HasSubstr("stages.0")));
}

TEST(Identity, AnotherNumberOfStagesIsNamed) {
  Json saved = {{"stages", {{{"steps", 1}}}}}, now = {{"stages", {{{"steps", 1}}, {{"steps", 2}}}}};
  EXPECT_THAT(checkpoint_error([&] { require_same_identity(saved, now, "runs/a"); }),
              HasSubstr("stages: "));
}

}  // namespace
}  // namespace longspan
