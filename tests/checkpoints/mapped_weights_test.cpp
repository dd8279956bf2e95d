#include "checkpoints/mapped_weights.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "checkpoints/hf/hf_importer.h"
#include "src/core/error.h"
#include "src/model/apply_lora.h"
#include "tests/checkpoints/model_folder.h"
#include "tests/support/temporary_folder.h"

namespace longspan {
namespace {

/// Bytes of mapped model.safetensors in this process's memory; what the system keeps cached beyond
/// them does not count.
int64_t mapped_resident_bytes() {
  std::ifstream smaps("/proc/self/smaps");
  std::string line;
  int64_t sum = 0, kibibytes = 0;
  bool ours = false;
  while (std::getline(smaps, line)) {
    // A mapping begins with its addresses and ends with its path.
    if (line.find('-') < line.find(' ')) ours = line.ends_with("model.safetensors");
    if (ours && std::sscanf(line.c_str(), "Rss: %ld", &kibibytes) == 1) sum += kibibytes << 10;
  }
  return sum;
}

/// 5 layers of 12.6 MB in float32.
ModelConfig wide_config() {
  ModelConfig config = tiny_llama_config();
  config.hidden_size = 512;
  config.intermediate_size = 1376;
  config.num_hidden_layers = 5;
  config.num_attention_heads = config.num_key_value_heads = 8;
  config.head_dim = 64;
  return config;
}

constexpr int64_t kLayerBytes = (4 * 512 * 512 + 3 * 512 * 1376) * 4;

/// Measures around each use of a layer.
class Measured : public WeightResidency {
 public:
  explicit Measured(CausalLm& model) : weights_(model), before_(mapped_resident_bytes()) {}
  void will_use(size_t layer) override {
    weights_.will_use(layer);
    order_.push_back(layer);
  }
  void used(size_t layer) override {
    largest_ = std::max(largest_, mapped_resident_bytes() - before_);
    weights_.used(layer);
  }
  int64_t largest() const { return largest_; }
  const std::vector<size_t>& order() const { return order_; }

 private:
  MappedWeights weights_;
  int64_t before_, largest_ = 0;
  std::vector<size_t> order_;
};

class MappedWeightsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    write_model_folder(folder_->path(), *random_model(wide_config()));
  }
  static void TearDownTestSuite() { folder_.reset(); }

  std::unique_ptr<CausalLm> model() const {
    auto model = import_model(*open_model_source(folder_->path()), {.dtype = at::kFloat});
    at::manual_seed(4);
    apply_lora(*model, {});
    return model;
  }

  /// Of LoRA, norms and embeddings.
  std::vector<at::Tensor> gradients(CausalLm& model, std::shared_ptr<WeightResidency> residency) {
    model.set_activations({.recompute = {.what = Recompute::kLayer, .residency = residency}});
    at::Tensor ids = at::arange(24, at::kLong).unsqueeze(0);
    model.hidden_states({ids, {}, {}}).square().sum().backward();
    std::vector<at::Tensor> found;
    model.visit_parameters("", [&](const std::string&, at::Tensor& parameter) {
      if (parameter.requires_grad()) found.push_back(parameter.grad());
    });
    return found;
  }

  static inline std::unique_ptr<TemporaryFolder> folder_;
};

TEST_F(MappedWeightsTest, AreNotInMemoryBeforeTheyAreUsed) {
  int64_t before = mapped_resident_bytes();
  auto imported = model();
  EXPECT_LT(mapped_resident_bytes() - before, kLayerBytes / 4);
}

TEST_F(MappedWeightsTest, StayInMemoryWithoutResidency) {
  auto imported = model();
  int64_t before = mapped_resident_bytes();
  gradients(*imported, nullptr);
  EXPECT_GT(mapped_resident_bytes() - before, 4 * kLayerBytes);
}

TEST_F(MappedWeightsTest, AreInMemoryTwoLayersAtATime) {
  auto imported = model();
  auto residency = std::make_shared<Measured>(*imported);
  gradients(*imported, residency);
  EXPECT_EQ(residency->order(), (std::vector<size_t>{0, 1, 2, 3, 4, 4, 3, 2, 1, 0}));
  EXPECT_GT(residency->largest(), kLayerBytes * 3 / 4);
  EXPECT_LT(residency->largest(), 2 * kLayerBytes + kLayerBytes / 4);
}

TEST_F(MappedWeightsTest, AreInMemoryThreeLayersAtATimeInForwardPassesOnly) {
  auto imported = model();
  auto residency = std::make_shared<Measured>(*imported);
  imported->set_activations({.recompute = {.residency = residency}});
  at::NoGradGuard no_gradients;
  at::Tensor ids = at::arange(24, at::kLong).unsqueeze(0);
  for (int pass = 0; pass < 3; ++pass) imported->hidden_states({ids, {}, {}});
  EXPECT_LT(residency->largest(), 3 * kLayerBytes);
}

TEST_F(MappedWeightsTest, HaveTheSameValuesWhenReadAgain) {
  auto plain = model(), mapped = model();
  auto expected = gradients(*plain, nullptr);
  auto residency = std::make_shared<MappedWeights>(*mapped);
  EXPECT_EQ(residency->bytes(), 5 * kLayerBytes);
  auto found = gradients(*mapped, residency);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_TRUE(found[i].equal(expected[i])) << i;
}

TEST_F(MappedWeightsTest, RefuseWeightsThatAreCopiesInMemory) {
  auto copies = import_model(*open_model_source(folder_->path()), {.dtype = at::kBFloat16});
  EXPECT_THROW(MappedWeights{*copies}, Error);
}

TEST_F(MappedWeightsTest, DoNotCountQuantisedOnes) {
  auto quantized = import_model(*open_model_source(folder_->path()),
                                {.dtype = at::kFloat, .quantization = Quantization::kInt8});
  EXPECT_EQ(MappedWeights(*quantized).bytes(), 0);
}

TEST_F(MappedWeightsTest, OfAQuantisedImportLeaveMemoryAtOnce) {
  int64_t before = mapped_resident_bytes();
  auto quantized = import_model(*open_model_source(folder_->path()),
                                {.dtype = at::kFloat, .quantization = Quantization::kInt8});
  EXPECT_LT(mapped_resident_bytes() - before, kLayerBytes / 4);
}

TEST(MappedBytes, AreKnownOfAViewAndOfItsParts) {
  TemporaryFolder folder;
  std::string path = folder.write("bytes", std::string(64, '\1'));
  auto file = std::make_shared<const MappedFile>(path);
  at::Tensor view = view_of(file, 16, {4, 2}, at::kInt);
  for (const at::Tensor& tensor : {view, view[1], view.t()}) {
    auto bytes = mapped_bytes(tensor);
    ASSERT_TRUE(bytes);
    EXPECT_EQ(bytes->file, file);
    EXPECT_EQ(bytes->offset, 16);
    EXPECT_EQ(bytes->size, 32);
  }
}

TEST(MappedBytes, AreNoneOfATensorInMemory) {
  TemporaryFolder folder;
  auto file = std::make_shared<const MappedFile>(folder.write("bytes", std::string(64, '\1')));
  EXPECT_FALSE(mapped_bytes(at::zeros({4})));
  EXPECT_FALSE(mapped_bytes(view_of(file, 16, {4, 2}, at::kInt).clone()));
  EXPECT_FALSE(mapped_bytes(view_of(file, 15, {4, 2}, at::kInt)));  // copied, as it is not aligned
  EXPECT_FALSE(mapped_bytes(unloaded_parameter({4})));
  EXPECT_FALSE(mapped_bytes({}));
}

}  // namespace
}  // namespace longspan
