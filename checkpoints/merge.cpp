#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/matmul.h>

#include <algorithm>
#include <set>

#include "checkpoints/dtype.h"
#include "checkpoints/hf_exporter.h"
#include "checkpoints/peft_adapter.h"

namespace longspan {

namespace {

constexpr const char* kEmbedTokens = "model.embed_tokens.weight";
constexpr const char* kLmHead = "lm_head.weight";

class MergedSource : public ModelSource {
 public:
  MergedSource(const ModelSource& base, const PeftAdapter& adapter)
      : base_(base), adapter_(adapter), config_(adapted_config(base, adapter)) {
    std::set<std::string> known;
    for (auto& info : base.tensors()) {
      if (info.name == kLmHead && config_.tie_word_embeddings) continue;
      known.insert(info.name);
      tensors_.push_back(std::move(info));
    }
    if (!config_.tie_word_embeddings && known.insert(kLmHead).second) {
      const TensorInfo& embeddings = info_of(kEmbedTokens);  // untied: begins as the base's
      tensors_.push_back({kLmHead, embeddings.dtype, embeddings.shape, embeddings.bytes});
    }
    check_all_used(known);
  }

  std::filesystem::path path() const override { return base_.path(); }
  std::string format() const override { return base_.format(); }
  Json config_json() const override { return write_hf_config(config_, main_dtype(base_)); }
  Json tokenizer_json() const override { return base_.tokenizer_json(); }
  std::vector<std::pair<std::string, std::string>> side_files() const override {
    return base_.side_files();
  }
  std::vector<TensorInfo> tensors() const override { return tensors_; }

  at::Tensor tensor(const std::string& name) const override {
    if (auto saved = adapter_.tensors.find(name); saved != adapter_.tensors.end()) {
      check_shape(name, saved->second);
      return saved->second;
    }
    bool has_head = base_has_lm_head();
    at::Tensor weight = base_.tensor(name == kLmHead && !has_head ? kEmbedTokens : name);
    constexpr std::string_view kWeight = ".weight";
    if (!name.ends_with(kWeight)) return weight;
    std::string module = name.substr(0, name.size() - kWeight.size());
    auto a = adapter_.tensors.find(module + ".lora_A.weight");
    auto b = adapter_.tensors.find(module + ".lora_B.weight");
    if (a == adapter_.tensors.end()) return weight;
    return merged(name, weight, a->second, b->second);
  }

 private:
  const TensorInfo& info_of(const std::string& name) const {
    auto found = std::find_if(tensors_.begin(), tensors_.end(),
                              [&](const TensorInfo& info) { return info.name == name; });
    if (found == tensors_.end()) {
      fail(ExitCode::kModel, "{}: has no tensor '{}'", base_.path().string(), name);
    }
    return *found;
  }

  bool base_has_lm_head() const {
    auto infos = base_.tensors();
    return std::any_of(infos.begin(), infos.end(),
                       [](const TensorInfo& info) { return info.name == kLmHead; });
  }

  /// A and B come in pairs and belong to a weight of the base, saved modules too.
  void check_all_used(const std::set<std::string>& known) const {
    constexpr std::string_view kA = ".lora_A.weight", kB = ".lora_B.weight";
    for (const auto& [name, tensor] : adapter_.tensors) {
      if (name == kLmHead) continue;  // tied, or in the list by now
      std::string module = name.substr(0, name.size() - std::min(name.size(), kA.size()));
      bool part = name.ends_with(kA) || name.ends_with(kB);
      bool paired = adapter_.tensors.contains(fmt::format("{}{}", module, kA)) &&
                    adapter_.tensors.contains(fmt::format("{}{}", module, kB));
      if (part ? !paired || !known.contains(module + ".weight") : !known.contains(name)) {
        fail(ExitCode::kModel, "{}: the adapter's tensor '{}' {}", base_.path().string(), name,
             part && !paired ? "lacks its partner" : "fits no tensor of the base model");
      }
    }
  }

  void check_shape(const std::string& name, const at::Tensor& tensor) const {
    const TensorInfo& info = info_of(name);
    if (tensor.sizes() != at::IntArrayRef(info.shape)) {
      fail(ExitCode::kModel, "{}: '{}' is [{}], the adapter has [{}]", base_.path().string(), name,
           fmt::join(info.shape, ", "), fmt::join(tensor.sizes(), ", "));
    }
  }

  /// W + scale B A in float32; the export rounds once.
  at::Tensor merged(const std::string& name, const at::Tensor& weight, const at::Tensor& a,
                    const at::Tensor& b) const {
    if (a.dim() != 2 || b.dim() != 2 || weight.dim() != 2 || a.size(1) != weight.size(1) ||
        b.size(0) != weight.size(0) || a.size(0) != b.size(1)) {
      fail(ExitCode::kModel, "{}: '{}' is [{}], the adapter's A is [{}] and B [{}]",
           base_.path().string(), name, fmt::join(weight.sizes(), ", "), fmt::join(a.sizes(), ", "),
           fmt::join(b.sizes(), ", "));
    }
    at::NoGradGuard no_grad;
    return weight.to(at::kFloat) +
           at::matmul(b.to(at::kFloat), a.to(at::kFloat)) * adapter_.lora.scale();
  }

  const ModelSource& base_;
  const PeftAdapter& adapter_;
  ModelConfig config_;
  std::vector<TensorInfo> tensors_;
};

}  // namespace

std::unique_ptr<ModelSource> merged_source(const ModelSource& base, const PeftAdapter& adapter) {
  return std::make_unique<MergedSource>(base, adapter);
}

void merge_peft_adapter(const ModelSource& base, const PeftAdapter& adapter,
                        const std::filesystem::path& folder, int64_t shard_bytes) {
  MergedSource merged(base, adapter);
  export_hf(merged, adapted_config(base, adapter), folder, {main_dtype(base), shard_bytes});
}

}  // namespace longspan
