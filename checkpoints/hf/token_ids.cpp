#include "checkpoints/hf/token_ids.h"

#include "checkpoints/sentencepiece/sentencepiece_json.h"

namespace longspan {

std::map<std::string, int64_t> token_ids(const Json& tokenizer_json, const std::string& place) {
  std::map<std::string, int64_t> ids;
  if (!tokenizer_json.is_object()) return ids;
  static const Json::json_pointer kVocab("/model/vocab");
  if (const auto model = sentencepiece_model_of(tokenizer_json, place)) {
    for (size_t id = 0; id < model->pieces.size(); ++id) {
      ids[model->pieces[id]] = static_cast<int64_t>(id);
    }
  } else if (tokenizer_json.contains(kVocab)) {
    const Json& vocab = tokenizer_json[kVocab];
    int64_t next = 0;
    for (const auto& [key, value] : vocab.items()) {
      if (vocab.is_object() && value.is_number_integer()) ids[key] = value.get<int64_t>();
      if (vocab.is_array() && value.is_array() && !value.empty() && value[0].is_string()) {
        ids[value[0].get<std::string>()] = next++;
      }
    }
  }
  for (const auto& token : tokenizer_json.value("added_tokens", Json::array())) {
    if (!token.is_object()) continue;
    const Json id = token.value("id", Json()), content = token.value("content", Json());
    if (id.is_number_integer() && content.is_string()) {
      ids[content.get<std::string>()] = id.get<int64_t>();
    }
  }
  return ids;
}

}  // namespace longspan
