#include "data/store/tokens_fingerprint.h"

#include <algorithm>

#include "data/store/token_store.h"
#include "src/core/digest.h"
#include "src/core/error.h"

namespace longspan {

namespace {

constexpr int64_t kRuns = 4096, kRunTokens = 4096;

void add_ids(const TokenStore& store, int64_t offset, int64_t count, Digest& hash) {
  const std::vector<int32_t> ids = store.read(offset, count);
  hash.update({reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(int32_t)});
  if (store.info().all_labels) return;
  const std::vector<uint8_t> is_label = store.read_is_label(offset, count);
  hash.update({reinterpret_cast<const char*>(is_label.data()), is_label.size()});
}

}  // namespace

std::string tokens_fingerprint(const TokenStore& store) {
  Digest hash;
  for (const auto& document : store.documents()) {
    hash.update(fmt::format("{}\n{}\n{}\n", document.name, document.offset, document.tokens));
  }
  const int64_t tokens = store.info().tokens;
  if (tokens <= kRuns * kRunTokens) {
    for (int64_t at = 0; at < tokens; at += kRunTokens) {
      add_ids(store, at, std::min(kRunTokens, tokens - at), hash);
    }
    return hash.hex();
  }
  for (int64_t run = 0; run < kRuns; ++run) {
    add_ids(store, run * ((tokens - kRunTokens) / (kRuns - 1)), kRunTokens, hash);
  }
  return hash.hex();
}

}  // namespace longspan
