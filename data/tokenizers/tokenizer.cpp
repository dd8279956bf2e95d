#include "data/tokenizers/tokenizer.h"

#include "data/tokenizers/json_tokenizer.h"
#include "src/core/error.h"

namespace longspan {

std::vector<int64_t> ids_without_token(const Tokenizer& tokenizer, int64_t embeddings) {
  std::vector<int64_t> ids;
  for (int64_t id = 0; id < embeddings; ++id) {
    if (!tokenizer.has_token(id)) ids.push_back(id);
  }
  return ids;
}

std::unique_ptr<Tokenizer> make_tokenizer(const Json& tokenizer_json, const std::string& place) {
  if (!tokenizer_json.is_object()) fail(ExitCode::kModel, "{}: not a tokenizer.json", place);
  try {
    return std::make_unique<JsonTokenizer>(tokenizer_json, place);
  } catch (const Json::exception& e) {
    fail(ExitCode::kModel, "{}: not a tokenizer.json: {}", place, e.what());
  }
}

}  // namespace longspan
