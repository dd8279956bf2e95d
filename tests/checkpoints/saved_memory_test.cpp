#include "checkpoints/saved_memory.h"

#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "checkpoints/hf/hf_importer.h"
#include "src/attention/focused_memory.h"
#include "src/model/generate.h"
#include "tests/support/errors.h"
#include "tests/support/places.h"
#include "tests/support/temporary_folder.h"

namespace longspan {
namespace {

/// The tiny LongLLaMA `name` of tests/reference/longllama.
struct OpenedLongLlama {
  std::unique_ptr<ModelSource> source;
  std::unique_ptr<CausalLm> model;

  explicit OpenedLongLlama(const std::string& name)
      : source(open_model_source(reference_folder() / "longllama" / name)),
        model(import_model(*source, {.dtype = at::kFloat})) {}

  Json identity() const { return memory_identity(*source, *model); }
  void remember_as(MemDtype dtype) {
    auto options = dynamic_cast<const FocusedMemoryAttention&>(model->attention()).options();
    options.mem_dtype = dtype;
    model->set_attention(std::make_shared<FocusedMemoryAttention>(options));
  }
};

class SavedMemory : public testing::Test {
 protected:
  void save(const OpenedLongLlama& opened, ModelState& state) {
    prefill(*opened.model, text_, state, 50);
    save_memory(path_, state, opened.identity());
  }
  std::string refused(const OpenedLongLlama& opened) {
    return error_of([&] { load_memory(path_, *opened.model, opened.identity()); },
                    ExitCode::kCheckpoint);
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "text.memory";
  std::vector<int64_t> text_ = [] {
    std::vector<int64_t> ids;
    for (int64_t i = 0; i < 130; ++i) ids.push_back(3 + i * i % 311);
    return ids;
  }();
};

TEST_F(SavedMemory, IsReadOnAsIfItHadNeverLeft) {
  for (const auto& name : mem_dtype_names()) {
    OpenedLongLlama opened("b");
    opened.remember_as(mem_dtype_named(name));
    ModelState state;
    save(opened, state);
    ModelState loaded = load_memory(path_, *opened.model, opened.identity());
    EXPECT_EQ(loaded.length(), 130);
    const auto expected = generate(*opened.model, {7, 8}, {.max_new_tokens = 40}, {}, &state);
    EXPECT_EQ(generate(*opened.model, {7, 8}, {.max_new_tokens = 40}, {}, &loaded), expected)
        << name;
  }
}

TEST_F(SavedMemory, IsOfItsModelRopeAndAttentionAlone) {
  OpenedLongLlama opened("b");
  ModelState state;
  save(opened, state);
  EXPECT_THAT(refused(OpenedLongLlama("a")), testing::HasSubstr("was read with another weights"));
  OpenedLongLlama other("b");
  other.model->set_rope_scaling(make_rope_scaling("dynamic"), 32);
  EXPECT_THAT(refused(other), testing::HasSubstr("was read with another rope"));
  OpenedLongLlama int8("b");
  int8.remember_as(MemDtype::kInt8);
  EXPECT_THAT(refused(int8), testing::HasSubstr("was read with another attention"));
  EXPECT_EQ(refused(OpenedLongLlama("b")), "no error");
}

TEST_F(SavedMemory, SaysWhenItIsDamagedOrNone) {
  OpenedLongLlama opened("b");
  ModelState state;
  save(opened, state);
  {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-9, std::ios::end);
    file.put('\x55');
  }
  EXPECT_THAT(refused(opened), testing::HasSubstr("holds other bytes than were saved"));
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) - 100);
  EXPECT_THAT(refused(opened), testing::HasSubstr("it is truncated"));
  path_ = reference_folder() / "longllama/a/model.safetensors";
  EXPECT_THAT(refused(opened), testing::HasSubstr("is no saved memory"));
}

}  // namespace
}  // namespace longspan
