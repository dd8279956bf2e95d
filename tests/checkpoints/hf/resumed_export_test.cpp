// export_hf and export_gguf that are interrupted and go on.

#include <gmock/gmock.h>

#include <fstream>

#include "checkpoints/gguf/gguf_exporter.h"
#include "checkpoints/hf/hf_config.h"
#include "checkpoints/hf/hf_exporter.h"
#include "src/core/text.h"
#include "tests/checkpoints/model_folder.h"
#include "tests/checkpoints/temporary_folder.h"

namespace longspan {
namespace {

using testing::HasSubstr;

namespace fs = std::filesystem;

/// The model of a folder; the read number `fails_at` throws, as a full disk would.
class FailingSource : public ModelSource {
 public:
  FailingSource(const fs::path& folder, int fails_at)
      : source_(open_model_source(folder)), fails_at_(fails_at) {}

  fs::path path() const override { return source_->path(); }
  std::string format() const override { return source_->format(); }
  Json config_json() const override { return source_->config_json(); }
  Json tokenizer_json() const override { return source_->tokenizer_json(); }
  std::vector<std::pair<std::string, std::string>> side_files() const override {
    return source_->side_files();
  }
  std::vector<TensorInfo> tensors() const override { return source_->tensors(); }
  at::Tensor tensor(const std::string& name) const override {
    if (reads++ == fails_at_) fail(ExitCode::kFailure, "interrupted");
    return source_->tensor(name);
  }

  Json stamps() const override { return source_->stamps(); }

  mutable int reads = 0;

 private:
  std::unique_ptr<ModelSource> source_;
  int fails_at_;
};

class ResumedExport : public testing::Test {
 protected:
  ResumedExport() { write_model_folder(base_, *random_model(tiny_llama_config())); }

  /// How many tensors were read.
  int export_until(int fails_at, ExportOptions options = {at::kBFloat16, 6000}) {
    FailingSource source(base_, fails_at);
    try {
      export_hf(source, read_hf_config(source), out_, options);
    } catch (const Error& e) {
      EXPECT_STREQ(e.what(), "interrupted");
    }
    return source.reads;
  }
  std::map<std::string, std::string> files_of(const fs::path& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(folder)) {
      files[entry.path().filename()] = read_file(entry.path(), ExitCode::kModel);
    }
    return files;
  }

  static constexpr int kNever = 1000;
  TemporaryFolder folder_;
  fs::path base_ = folder_.path() / "base", out_ = folder_.path() / "out",
           partial_ = folder_.path() / "out.partial";
};

TEST_F(ResumedExport, ReadsOnlyWhatIsNotWritten) {
  int all = static_cast<int>(open_model_source(base_)->tensors().size());
  EXPECT_EQ(export_until(12), 13);
  EXPECT_FALSE(fs::exists(out_));
  EXPECT_TRUE(fs::exists(partial_));
  int rest = export_until(kNever);
  EXPECT_LT(rest, all);
  EXPECT_GE(rest, all - 12);
  EXPECT_TRUE(fs::exists(out_));
  EXPECT_FALSE(fs::exists(partial_));
}

TEST_F(ResumedExport, GivesTheBytesOfOneThatWasNotInterrupted) {
  export_until(kNever);
  auto expected = files_of(out_);
  fs::remove_all(out_);
  for (int fails_at : {5, 6, 7}) export_until(fails_at);
  export_until(kNever);
  EXPECT_GT(expected.size(), 4);
  EXPECT_EQ(files_of(out_), expected);
}

TEST_F(ResumedExport, BeginsAnewWhenTheInputChanged) {
  int all = static_cast<int>(open_model_source(base_)->tensors().size());
  export_until(12);
  fs::path weights = base_ / "model.safetensors";
  fs::last_write_time(weights, fs::last_write_time(weights) + std::chrono::seconds(1));
  EXPECT_EQ(export_until(kNever), all);
}

TEST_F(ResumedExport, BeginsAnewFromOtherWeightsOfTheFolder) {
  int all = static_cast<int>(open_model_source(base_)->tensors().size());
  fs::path folder = base_;
  fs::copy_file(folder / "model.safetensors", folder / "ema.safetensors");
  base_ = folder / "model.safetensors";
  export_until(12);
  base_ = folder / "ema.safetensors";
  EXPECT_EQ(export_until(kNever), all);
}

TEST_F(ResumedExport, BeginsAnewWithOtherOptions) {
  int all = static_cast<int>(open_model_source(base_)->tensors().size());
  export_until(12);
  EXPECT_EQ(export_until(12, {at::kFloat, 6000}), 13);
  EXPECT_EQ(export_until(12, {at::kFloat, 7000}), 13);
  ExportOptions other{at::kFloat, 7000};
  other.made_from["adapter"] = "another";
  EXPECT_EQ(export_until(kNever, other), all);
}

TEST_F(ResumedExport, WritesADamagedShardAgain) {
  export_until(kNever);
  auto expected = files_of(out_);
  fs::remove_all(out_);
  export_until(12);
  fs::path shard;
  for (const auto& [name, content] : files_of(partial_)) {
    if (name.starts_with("model-00001")) shard = partial_ / name;
  }
  fs::resize_file(shard, fs::file_size(shard) - 10);
  export_until(kNever);
  EXPECT_EQ(files_of(out_), expected);
}

TEST_F(ResumedExport, LeavesNothingThatWasRefused) {
  ExportOptions options{at::kBFloat16, 6000};
  options.before_appearing = [](const fs::path& folder) {
    EXPECT_TRUE(fs::exists(folder / "config.json"));
    fail(ExitCode::kModel, "interrupted");
  };
  export_until(kNever, options);
  EXPECT_FALSE(fs::exists(out_));
  EXPECT_FALSE(fs::exists(partial_));
}

TEST_F(ResumedExport, SaysHowFarItIs) {
  testing::internal::CaptureStderr();
  export_until(kNever);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("shard 2 of "));
}

class ResumedGguf : public testing::Test {
 protected:
  ResumedGguf() {
    write_model_folder(base_, *random_model(tiny_llama_config()));
    tensors_ = static_cast<int>(open_model_source(base_)->tensors().size());
  }

  /// How many tensors were read.
  int export_until(int fails_at, const char* type = "Q8_0") {
    FailingSource source(base_, fails_at);
    try {
      ModelConfig config = read_hf_config(source);
      export_gguf(source, config, out_, find_gguf_file_type(type, ""));
    } catch (const Error& e) {
      EXPECT_STREQ(e.what(), "interrupted");
    }
    return source.reads;
  }
  /// The bytes of an export without interruption, which is taken away again.
  std::string whole(const char* type = "Q8_0") {
    export_until(kNever, type);
    std::string bytes = read_file(out_, ExitCode::kModel);
    fs::remove(out_);
    return bytes;
  }

  static constexpr int kNever = 1000;
  TemporaryFolder folder_;
  fs::path base_ = folder_.path() / "base", out_ = folder_.path() / "out.gguf",
           partial_ = folder_.path() / "out.gguf.partial";
  int tensors_ = 0;
};

TEST_F(ResumedGguf, ReadsOnlyWhatIsNotWrittenAndGivesTheSameBytes) {
  std::string expected = whole();
  EXPECT_EQ(export_until(5), 6);
  EXPECT_EQ(export_until(7), 8);
  EXPECT_FALSE(fs::exists(out_));
  EXPECT_TRUE(fs::exists(partial_));
  EXPECT_EQ(export_until(kNever), tensors_ - 12);
  EXPECT_EQ(read_file(out_, ExitCode::kModel), expected);
  EXPECT_FALSE(fs::exists(partial_));
}

TEST_F(ResumedGguf, DropsWhatWasWrittenBehindTheLastWholeTensor) {
  std::string expected = whole();
  export_until(5);
  std::ofstream(partial_ / ".content", std::ios::app) << "half a tensor";
  EXPECT_EQ(export_until(kNever), tensors_ - 5);
  EXPECT_EQ(read_file(out_, ExitCode::kModel), expected);
}

TEST_F(ResumedGguf, BeginsAnewWhereLessIsThereThanWasKept) {
  std::string expected = whole();
  export_until(5);
  fs::resize_file(partial_ / ".content", 100);
  EXPECT_EQ(export_until(kNever), tensors_);
  EXPECT_EQ(read_file(out_, ExitCode::kModel), expected);
}

TEST_F(ResumedGguf, BeginsAnewWithAnotherTypeOrInput) {
  std::string expected = whole("F16");
  export_until(5);
  EXPECT_EQ(export_until(7, "F16"), 8);
  fs::path weights = base_ / "model.safetensors";
  fs::last_write_time(weights, fs::last_write_time(weights) + std::chrono::seconds(1));
  EXPECT_EQ(export_until(kNever, "F16"), tensors_);
  EXPECT_EQ(read_file(out_, ExitCode::kModel), expected);
}

TEST_F(ResumedGguf, ReplacesAnOlderFileOnlyWhenItIsWhole) {
  std::string expected = whole();
  std::ofstream(out_) << "older";
  export_until(5);
  EXPECT_EQ(read_file(out_, ExitCode::kModel), "older");
  export_until(kNever);
  EXPECT_EQ(read_file(out_, ExitCode::kModel), expected);
}

TEST(GenerationConfig, IsMadeWhereThereIsNone) {
  TemporaryFolder folder;
  ModelConfig config = tiny_llama_config();
  config.bos_token_id = 1;
  config.eos_token_ids = {2, 3};
  write_model_folder(folder.path() / "base", *random_model(config));
  auto source = open_model_source(folder.path() / "base");
  export_hf(*source, config, folder.path() / "out", {});
  Json json = read_json_file(folder.path() / "out" / "generation_config.json", ExitCode::kModel);
  EXPECT_EQ(json,
            Json({{"_from_model_config", true}, {"bos_token_id", 1}, {"eos_token_id", {2, 3}}}));
}

TEST(GenerationConfig, FollowsTheContextWhereItWasTheWholeOne) {
  TemporaryFolder folder;
  write_model_folder(folder.path() / "base", *random_model(tiny_llama_config()));
  auto exported = [&](int64_t max_length) {
    write_json_file(folder.path() / "base" / "generation_config.json",
                    {{"temperature", 0.6}, {"max_length", max_length}});
    auto source = open_model_source(folder.path() / "base");
    ModelConfig config = read_hf_config(*source);
    config.max_position_embeddings = 128;
    fs::remove_all(folder.path() / "out");
    export_hf(*source, config, folder.path() / "out", {});
    return read_json_file(folder.path() / "out" / "generation_config.json", ExitCode::kModel);
  };
  EXPECT_EQ(exported(64), Json({{"temperature", 0.6}, {"max_length", 128}}));
  EXPECT_EQ(exported(20), Json({{"temperature", 0.6}, {"max_length", 20}}));
}

}  // namespace
}  // namespace longspan
