#include "checkpoints/hf/tokenizer_parts.h"

namespace longspan {

namespace {

/// Of ["<s>", 1].
std::optional<SpecialToken> token_of_pair(const Json& pair) {
  const bool is_one =
      pair.is_array() && pair.size() == 2 && pair[0].is_string() && pair[1].is_number_integer();
  if (!is_one) return std::nullopt;
  return SpecialToken{pair[0].get<std::string>(), pair[1].get<int64_t>()};
}

}  // namespace

Json added_token(int64_t id, const std::string& content, bool special) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", special}};
}

Json bpe_model() {
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", nullptr},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", false}};
}

Json template_processing(const std::optional<SpecialToken>& bos,
                         const std::optional<SpecialToken>& eos) {
  Json single = Json::array(), pair = Json::array(), tokens = Json::object();
  for (int type = 0; type < 2; ++type) {
    const auto put = [&](const Json& item) {
      if (type == 0) single.push_back(item);
      pair.push_back(item);
    };
    const auto put_token = [&](const std::optional<SpecialToken>& token) {
      if (!token) return;
      put({{"SpecialToken", {{"id", token->content}, {"type_id", type}}}});
      tokens[token->content] = {{"id", token->content},
                                {"ids", Json::array({token->id})},
                                {"tokens", Json::array({token->content})}};
    };
    put_token(bos);
    put({{"Sequence", {{"id", type == 0 ? "A" : "B"}, {"type_id", type}}}});
    put_token(eos);
  }
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", pair},
          {"special_tokens", tokens}};
}

Json find_template_processing(const Json& post_processor) {
  if (!post_processor.is_object()) return nullptr;
  const Json type = post_processor.value("type", Json());
  if (type == "TemplateProcessing") return post_processor;
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    return template_processing(token_of_pair(post_processor.value("cls", Json())),
                               token_of_pair(post_processor.value("sep", Json())));
  }
  const Json parts = post_processor.value("processors", Json());
  if (!parts.is_array()) return nullptr;
  for (const auto& part : parts) {
    if (Json found = find_template_processing(part); !found.is_null()) return found;
  }
  return nullptr;
}

}  // namespace longspan
