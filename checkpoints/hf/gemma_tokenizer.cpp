#include "checkpoints/hf/gemma_tokenizer.h"

#include <fmt/format.h>

#include "checkpoints/gguf/gguf_sentencepiece.h"
#include "checkpoints/hf/tokens_by_use.h"

namespace longspan {

namespace {

bool is_byte_level(const Json& tokenizer_json) {
  for (const char* part : {"pre_tokenizer", "decoder"}) {
    const std::string text = tokenizer_json.value(part, Json()).dump();
    if (text.find("\"ByteLevel\"") != std::string::npos) return true;
  }
  return false;
}

}  // namespace

bool is_gemma_tokenizer(const Json& tokenizer_config) {
  return names_tokenizer_class(tokenizer_config, "GemmaTokenizer");
}

void apply_gemma_tokenizer(Json& tokenizer_config, Json& tokenizer_json, const std::string& place) {
  if (is_byte_level(tokenizer_json)) {
    fail(ExitCode::kModel,
         "{}: names GemmaTokenizer, by whose rules the ByteLevel tokenizer.json beside it has no "
         "token for a space; write \"tokenizer_class\": \"PreTrainedTokenizerFast\" there",
         place);
  }
  if (!tokenizer_config.is_object()) tokenizer_config = Json::object();
  for (const char* use : {"unk", "bos", "eos", "pad", "mask"}) {
    const std::string key = fmt::format("{}_token", use);
    if (!tokenizer_config.contains(key)) tokenizer_config[key] = fmt::format("<{}>", use);
  }
  tokenizer_json["normalizer"] = sentencepiece_normalizer(/*space_prefix=*/false);
  tokenizer_json["pre_tokenizer"] = {{"type", "Split"},
                                     {"pattern", {{"String", " "}}},
                                     {"behavior", "MergedWithPrevious"},
                                     {"invert", false}};
  tokenizer_json["decoder"] = sentencepiece_decoder(/*space_prefix=*/false);
  Json& model = tokenizer_json["model"];
  const Json& unknown = tokenizer_config["unk_token"];
  model["unk_token"] = unknown.is_object() ? unknown.value("content", Json()) : unknown;
  model["fuse_unk"] = model["byte_fallback"] = true;
  model["ignore_merges"] = false;
}

}  // namespace longspan
