#include "src/attention/focused_memory_state.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/attention/focused_memory.h"
#include "tests/support/errors.h"
#include "tests/support/largest.h"
#include "tests/support/temporary_folder.h"

namespace longspan {
namespace {

FocusedMemoryOptions remembering(MemDtype dtype) {
  FocusedMemoryOptions options;
  options.mem_layers = {1};
  options.lengths = {.window = 8, .last_context = 5};
  options.mem_dtype = dtype;
  return options;
}

/// A text of random heads, read on and on.
class Reader {
 public:
  explicit Reader(const FocusedMemoryOptions& options, int64_t layer = 1)
      : pattern_(options), layer_(layer), state_(pattern_.make_state(layer)) {}

  /// Of `tokens` more, drawn from `seed`.
  at::Tensor read(int64_t tokens, uint64_t seed) {
    const at::NoGradGuard no_gradients;
    at::manual_seed(seed);
    const auto random = [&](int64_t heads) { return at::randn({1, heads, tokens, 32}); };
    const Heads heads{random(4), random(2), random(2)};
    const int64_t first = state_->length();
    const Rotary rotary({unscaled_inv_freq({32, 10000.0, 64}), 1.0},
                        at::arange(first, first + tokens).unsqueeze(0), at::kFloat);
    AttentionContext context{.rotary = rotary, .document_ids = {}, .layer = layer_};
    context.state = state_.get();
    context.first_position = first;
    const at::Tensor out = pattern_.attend(heads, context);
    state_->commit();
    return out;
  }

  FocusedMemoryState& state() { return static_cast<FocusedMemoryState&>(*state_); }
  void restore(const std::map<std::string, at::Tensor>& tensors) {
    state().restore(tensors, at::kCPU);
  }

 private:
  FocusedMemoryAttention pattern_;
  int64_t layer_;
  std::shared_ptr<LayerState> state_;
};

TEST(FocusedMemoryState, GoesOnFromItsTensors) {
  for (const auto& name : mem_dtype_names()) {
    for (const int64_t layer : {0, 1}) {
      Reader reader(remembering(mem_dtype_named(name)), layer);
      reader.read(21, 1);
      reader.read(1, 2);
      Reader other(remembering(mem_dtype_named(name)), layer);
      other.restore(reader.state().tensors());
      EXPECT_EQ(other.state().length(), 22);
      for (uint64_t seed = 3; seed < 12; ++seed) {
        EXPECT_TRUE(at::equal(other.read(seed, seed), reader.read(seed, seed))) << name << seed;
      }
    }
  }
}

TEST(FocusedMemoryState, MissesATensorThatIsNotThere) {
  Reader reader(remembering(MemDtype::kInt8));
  reader.read(30, 1);
  auto tensors = reader.state().tensors();
  ASSERT_TRUE(tensors.contains("memory.1.k.codes"));
  tensors.erase("memory.1.k.codes");
  Reader other(remembering(MemDtype::kInt8));
  EXPECT_THROW(other.restore(tensors), std::out_of_range);
}

TEST(FocusedMemoryState, IsTheSameInAFile) {
  const TemporaryFolder folder;
  for (const auto& name : mem_dtype_names()) {
    FocusedMemoryOptions in_file = remembering(mem_dtype_named(name));
    in_file.mem_dir = folder.path().string();
    Reader a(remembering(mem_dtype_named(name))), b(in_file);
    for (uint64_t seed = 1; seed < 6; ++seed) {
      EXPECT_TRUE(at::equal(b.read(9, seed), a.read(9, seed))) << name;
    }
    EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << "the file has no name";
  }
}

TEST(FocusedMemoryState, NamesTheFolderThatTakesNoFile) {
  const TemporaryFolder folder;
  FocusedMemoryOptions options = remembering(MemDtype::kInt8);
  options.mem_dir = "/proc/nowhere";
  EXPECT_THAT(error_of([&] { Reader reader(options); }, ExitCode::kFailure),
              testing::HasSubstr("mem_dir: /proc/nowhere: cannot make a file there"));
}

TEST(FocusedMemoryState, SearchesThePagesOfItsMemory) {
  FocusedMemoryOptions options = remembering(MemDtype::kFloat32);
  Reader dense(options);
  options.search_page_tokens = 3;
  options.search_pages = 1000;
  Reader all(options);
  options.search_pages = 2;
  Reader few(options);
  for (uint64_t seed = 1; seed < 5; ++seed) {
    const at::Tensor expected = dense.read(9, seed);
    EXPECT_LT(largest(all.read(9, seed) - expected), 1e-5);
    const at::Tensor searched = few.read(9, seed);
    if (seed > 2) {  // before, there are no more than 2 pages
      EXPECT_FALSE(at::equal(searched, expected));
    }
  }
  // Two windows of 4 and 5 tokens a reading, of which the last is open: 2 + 2 pages each.
  EXPECT_EQ(few.state().index(36).pages().size(), 4u * 2 + 3 * 2);
}

}  // namespace
}  // namespace longspan
