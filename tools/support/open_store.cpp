#include "tools/support/open_store.h"

#include "checkpoints/hf/hf_config.h"
#include "data/tokenizers/tokenizer.h"
#include "src/core/log.h"

namespace longspan {

std::shared_ptr<const TokenStore> open_store(const std::string& path, const ModelSource& model) {
  auto store = std::make_shared<const TokenStore>(path);
  Json tokenizer = model.tokenizer_json();
  if (tokenizer.is_null()) {
    const int64_t embeddings = read_hf_config(model).vocab_size;
    if (store->info().vocab_size > embeddings) {
      fail(ExitCode::kData,
           "{}: was made with a tokenizer of {} tokens, and the model {} embeds {} (vocab_size); "
           "expected no more than that: make it anew with longspan prepare and the tokenizer of "
           "this model",
           path, store->info().vocab_size, model.path().string(), embeddings);
    }
    log_warning(fmt::format("{}: has no tokenizer.json, so nothing tells whether {} belongs to it",
                            model.path().string(), path));
    return store;
  }
  std::string fingerprint = make_tokenizer(tokenizer, model.path().string())->fingerprint();
  if (fingerprint != store->info().tokenizer_fingerprint) {
    fail(ExitCode::kData,
         "{}: was made with another tokenizer (fingerprint {}) than that of {} ({}); make it anew "
         "with longspan prepare and this model",
         path, store->info().tokenizer_fingerprint, model.path().string(), fingerprint);
  }
  return store;
}

}  // namespace longspan
