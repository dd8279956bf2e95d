#include "data/tokenizer.h"

#include "data/byte_level_bpe.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace longspan {

namespace {

// Json looks for a key from the first one on, so parsing SmolLM2's map of 49,152 tokens takes 1.3 s
// and grows with its square; parsed as a sorted map and then copied it takes 0.1 s.
Json read_tokenizer_json(const std::filesystem::path& path) {
  constexpr int kDeepest = 256;  // copying recurses once a level
  auto limit_depth = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    if (depth > kDeepest) {
      fail(ExitCode::kModel, "{}: JSON nests deeper than {} levels; the file is damaged or hostile",
           path.string(), kDeepest);
    }
    return true;
  };
  try {
    return nlohmann::json::parse(read_file(path, ExitCode::kModel), limit_depth);
  } catch (const nlohmann::json::exception& e) {
    fail(ExitCode::kModel, "{}: not valid JSON: {}", path.string(), e.what());
  }
}

}  // namespace

std::unique_ptr<Tokenizer> make_tokenizer(const Json& tokenizer_json, const std::string& place) {
  try {
    if (!tokenizer_json.is_object()) fail(ExitCode::kModel, "{}: not a tokenizer.json", place);
    const Json normalizer = tokenizer_json.value("normalizer", Json());
    if (!normalizer.is_null()) {
      fail(ExitCode::kModel, "{}: normalizer {} is not supported, expected null", place,
           normalizer.dump());
    }
    BpeVocabulary vocabulary = read_bpe_vocabulary(tokenizer_json, place);
    PreTokenizer pre_tokenizer(tokenizer_json.value("pre_tokenizer", Json()), place);
    return std::make_unique<ByteLevelBpe>(std::move(vocabulary), std::move(pre_tokenizer));
  } catch (const Json::exception& e) {
    fail(ExitCode::kModel, "{}: not a tokenizer.json of byte-level BPE: {}", place, e.what());
  }
}

std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& model_folder) {
  auto path = model_folder / "tokenizer.json";
  return make_tokenizer(read_tokenizer_json(path), path.string());
}

}  // namespace longspan
