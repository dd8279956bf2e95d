#include <algorithm>
#include <set>

#include "checkpoints/adapted_tensor.h"
#include "checkpoints/tensor_names.h"

namespace longspan {

namespace {

class MergedSource : public ModelSource {
 public:
  MergedSource(const ModelSource& base, const PeftAdapter& adapter)
      : base_(base), adapter_(adapter), config_(adapted_config(base, adapter)) {
    std::set<std::string> known{kLmHead};  // saved of a tied model, it equals embed_tokens
    for (auto& info : base.tensors()) {
      base_has_lm_head_ |= info.name == kLmHead;
      if (info.name == kLmHead && config_.tie_word_embeddings) continue;
      known.insert(info.name);
      add(std::move(info));
    }
    const bool base_ties = read_hf_config(base).tie_word_embeddings;
    if (!config_.tie_word_embeddings && !base_has_lm_head_ && base_ties) {
      TensorInfo head = info_of(kEmbedTokens);  // untied: begins as the base's
      head.name = kLmHead;
      tensors_.push_back(std::move(head));
    }
    check_all_used(adapter, known, base.path().string());
  }

  std::filesystem::path path() const override { return base_.path(); }
  std::string format() const override { return base_.format(); }
  Json config_json() const override { return write_hf_config(config_, main_dtype(base_)); }
  Json tokenizer_json() const override { return base_.tokenizer_json(); }
  std::vector<std::pair<std::string, std::string>> side_files() const override {
    return base_.side_files();
  }
  std::vector<TensorInfo> tensors() const override { return tensors_; }
  Json stamps() const override { return base_.stamps(); }

  at::Tensor tensor(const std::string& name) const override {
    const TensorInfo& info = info_of(name);
    bool from_embeddings = name == kLmHead && !base_has_lm_head_;
    return adapted_tensor(adapter_, name, base_.tensor(from_embeddings ? kEmbedTokens : name),
                          info.shape.empty() ? 0 : info.shape[0], base_.path().string());
  }

 private:
  void add(TensorInfo info) {
    bool grows = info.name == kEmbedTokens || info.name == kLmHead;
    if (grows && !info.shape.empty() && info.shape[0] > 0 && info.shape[0] < config_.vocab_size) {
      info.bytes = info.bytes / info.shape[0] * config_.vocab_size;
      info.shape[0] = config_.vocab_size;
    }
    tensors_.push_back(std::move(info));
  }

  const TensorInfo& info_of(const std::string& name) const {
    auto found = std::find_if(tensors_.begin(), tensors_.end(),
                              [&](const TensorInfo& info) { return info.name == name; });
    if (found == tensors_.end()) {
      fail(ExitCode::kModel, "{}: has no tensor '{}'", base_.path().string(), name);
    }
    return *found;
  }

  const ModelSource& base_;
  const PeftAdapter& adapter_;
  ModelConfig config_;
  bool base_has_lm_head_ = false;
  std::vector<TensorInfo> tensors_;
};

}  // namespace

std::unique_ptr<ModelSource> merged_source(const ModelSource& base, const PeftAdapter& adapter) {
  return std::make_unique<MergedSource>(base, adapter);
}

}  // namespace longspan
