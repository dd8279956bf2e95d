#include "tools/open_store.h"

#include "data/tokenizer.h"
#include "src/core/log.h"

namespace longspan {

std::shared_ptr<const TokenStore> open_store(const std::string& path, const ModelSource& model) {
  auto store = std::make_shared<const TokenStore>(path);
  Json tokenizer = model.tokenizer_json();
  if (tokenizer.is_null()) {
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
