#include "data/tokenizers/tokenizer.h"

#include "data/tokenizers/bpe.h"
#include "src/core/error.h"

namespace longspan {

std::unique_ptr<Tokenizer> make_tokenizer(const Json& tokenizer_json, const std::string& place) {
  if (!tokenizer_json.is_object()) fail(ExitCode::kModel, "{}: not a tokenizer.json", place);
  try {
    return std::make_unique<Bpe>(tokenizer_json, place);
  } catch (const Json::exception& e) {
    fail(ExitCode::kModel, "{}: not a tokenizer.json of BPE: {}", place, e.what());
  }
}

}  // namespace longspan
