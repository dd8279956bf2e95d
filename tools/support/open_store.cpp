#include "tools/support/open_store.h"

#include <algorithm>

#include "checkpoints/hf/hf_config.h"
#include "data/tokenizers/tokenizer.h"
#include "src/core/log.h"

namespace longspan {

namespace {

/// An id that the model does not embed throws Error(kData) with its document.
void require_embedded(const TokenStore& store, int64_t embeddings) {
  constexpr int64_t kChunk = int64_t{1} << 20;
  for (const auto& document : store.documents()) {
    for (int64_t begin = 0; begin < document.tokens; begin += kChunk) {
      const auto ids =
          store.read(document.offset + begin, std::min(kChunk, document.tokens - begin));
      auto beyond =
          std::find_if(ids.begin(), ids.end(), [&](int32_t id) { return id >= embeddings; });
      if (beyond == ids.end()) continue;
      fail(ExitCode::kData,
           "{}: token {} of the document {} has the id {}, and the model only {} embeddings; make "
           "it anew with longspan prepare from text without that token",
           store.path(), begin + (beyond - ids.begin()), document.name, *beyond, embeddings);
    }
  }
}

}  // namespace

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
    log_warning("{}: has no tokenizer.json, so nothing tells whether {} belongs to it",
                model.path().string(), path);
    return store;
  }
  auto made = make_tokenizer(tokenizer, model.path().string());
  std::string fingerprint = made->fingerprint();
  if (fingerprint != store->info().tokenizer_fingerprint) {
    fail(ExitCode::kData,
         "{}: was made with another tokenizer (fingerprint {}) than that of {} ({}); make it anew "
         "with longspan prepare and this model",
         path, store->info().tokenizer_fingerprint, model.path().string(), fingerprint);
  }
  const int64_t embeddings = read_hf_config(model).vocab_size;
  if (made->vocab_size() > embeddings) require_embedded(*store, embeddings);
  return store;
}

}  // namespace longspan
