#include "checkpoints/adapters/merge.h"

#include <optional>
#include <set>
#include <utility>

#include "checkpoints/adapters/adapted_model.h"
#include "checkpoints/adapters/adapted_tensor.h"
#include "checkpoints/hf/hf_config.h"
#include "checkpoints/hf/hf_tokenizer.h"
#include "checkpoints/hf/token_ids.h"
#include "checkpoints/tensor_names.h"
#include "src/core/log.h"

namespace longspan {

namespace {

using NamedFiles = std::vector<std::pair<std::string, std::string>>;

/// What tokenizer_config.json says under `key`, and chat_template.jinja in place of its
/// chat_template.
Json tokenizer_key(const NamedFiles& files, const std::string& folder, const std::string& key) {
  Json said;
  for (const auto& [name, content] : files) {
    if (name == "chat_template.jinja" && key == "chat_template") return content;
    if (name != "tokenizer_config.json") continue;
    const Json json = parse_json(content, folder + "/" + name, ExitCode::kModel);
    if (json.is_object()) said = json.value(key, Json());
  }
  return said.is_object() ? said.value("content", Json()) : said;
}

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
    const ModelConfig before = read_hf_config(base);
    base_vocab_size_ = before.vocab_size;
    if (!config_.tie_word_embeddings && !base_has_lm_head_ && before.tie_word_embeddings) {
      TensorInfo head = info_of(kEmbedTokens);  // untied: begins as the base's
      head.name = kLmHead;
      tensors_.push_back(std::move(head));
    }
    check_all_used(adapter, known, base.path().string());
  }

  std::filesystem::path path() const override { return base_.path(); }
  std::string format() const override { return base_.format(); }
  Json config_json() const override { return write_hf_config(config_, main_dtype(base_)); }
  Json tokenizer_json() const override {
    return brings_tokenizer() ? hf_tokenizer_json(adapter_.folder) : base_.tokenizer_json();
  }
  NamedFiles side_files() const override {
    auto files = base_.side_files();
    if (brings_tokenizer()) {
      std::erase_if(files, [](const auto& file) { return file.first != "generation_config.json"; });
      for (auto& file : hf_tokenizer_files(adapter_.folder)) files.push_back(std::move(file));
    } else if (adds_tokens() && !std::exchange(warned_, true)) {
      log_warning(
          "{}: adds the ids {} to {} and has neither tokenizer.json nor tokenizer.model; the "
          "base's tokenizer, which is kept, lacks them: put all files of the adapter's own there, "
          "tokenizer_config.json and chat_template.jinja too",
          adapter_.folder.string(), base_vocab_size_, config_.vocab_size - 1);
    } else if (!adds_tokens()) {
      warn_of_other_keys(files);
    }
    return files;
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
  bool adds_tokens() const { return config_.vocab_size > base_vocab_size_; }
  /// Whether the adapter's folder has a tokenizer with other tokens than the base's: new rows of
  /// the embeddings, or rows that the base has to spare.
  bool brings_tokenizer() const {
    if (!brings_tokenizer_) {
      const bool there = !adapter_.folder.empty() && has_hf_tokenizer(adapter_.folder);
      brings_tokenizer_ = there && (adds_tokens() || has_other_tokens());
    }
    return *brings_tokenizer_;
  }
  bool has_other_tokens() const {
    const std::string folder = adapter_.folder.string();
    auto own = token_ids(hf_tokenizer_json(adapter_.folder), folder);
    return own != token_ids(base_.tokenizer_json(), base_.path().string());
  }

  /// Of an adapter's tokenizer with the base's tokens, that it was trained with other words around.
  void warn_of_other_keys(const NamedFiles& files) const {
    if (adapter_.folder.empty()) return;
    const NamedFiles own = hf_tokenizer_files(adapter_.folder);
    for (const char* key : {"chat_template", "eos_token"}) {
      const Json said = tokenizer_key(own, adapter_.folder.string(), key);
      if (said.is_null() || said == tokenizer_key(files, base_.path().string(), key)) continue;
      log_warning_once(
          "{}: its tokenizer has another {} than the base's, which is kept; if the adapter was "
          "trained with it, copy its tokenizer files into the merged folder",
          adapter_.folder.string(), key);
    }
  }

  void add(TensorInfo info) {
    bool grows = info.name == kEmbedTokens || info.name == kLmHead;
    if (grows && !info.shape.empty() && info.shape[0] > 0) {
      info.bytes = info.bytes / info.shape[0] * config_.vocab_size;
      info.shape[0] = config_.vocab_size;
    }
    tensors_.push_back(std::move(info));
  }

  const TensorInfo& info_of(const std::string& name) const {
    const TensorInfo* found = find_tensor(tensors_, name);
    if (!found) fail(ExitCode::kModel, "{}: has no tensor '{}'", base_.path().string(), name);
    return *found;
  }

  const ModelSource& base_;
  const PeftAdapter& adapter_;
  ModelConfig config_;
  int64_t base_vocab_size_ = 0;
  bool base_has_lm_head_ = false;
  mutable bool warned_ = false;
  mutable std::optional<bool> brings_tokenizer_;
  std::vector<TensorInfo> tensors_;
};

}  // namespace

std::unique_ptr<ModelSource> merged_source(const ModelSource& base, const PeftAdapter& adapter) {
  return std::make_unique<MergedSource>(base, adapter);
}

}  // namespace longspan
