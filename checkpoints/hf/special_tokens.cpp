#include "checkpoints/hf/special_tokens.h"

#include "checkpoints/hf/tokenizer_parts.h"

namespace longspan {

namespace {

/// The SpecialToken that leads "single" of a TemplateProcessing; nothing of null.
std::optional<int64_t> template_bos(const Json& processor) {
  Json::json_pointer token("/single/0/SpecialToken/id");
  if (!processor.contains(token) || !processor[token].is_string()) return std::nullopt;
  Json tokens = processor.value("special_tokens", Json::object());
  for (const auto& [name, entry] : tokens.items()) {
    Json::json_pointer id("/ids/0");
    if (name == processor[token] && entry.contains(id) && entry[id].is_number_integer()) {
      return entry[id].get<int64_t>();
    }
  }
  return std::nullopt;
}

}  // namespace

std::vector<int64_t> read_eos_token_ids(Fields& fields) {
  constexpr const char* kKey = "eos_token_id";
  Json eos;
  fields.optional(kKey, eos);
  std::vector<int64_t> ids;
  if (eos.is_array()) {
    fields.optional(kKey, ids);
  } else if (fields.has(kKey)) {
    fields.optional(kKey, ids.emplace_back());
  }
  return ids;
}

std::vector<int64_t> eos_token_ids_of(const Json& config_json, const std::string& place) {
  Diagnostics diagnostics(place);
  Fields fields(config_json, diagnostics);
  std::vector<int64_t> ids = read_eos_token_ids(fields);
  diagnostics.throw_if_any(ExitCode::kModel);
  return ids;
}

std::optional<int64_t> added_bos_token(const Json& tokenizer_json, const Json& tokenizer_config,
                                       std::optional<int64_t> bos_token_id) {
  if (tokenizer_json.is_object() && tokenizer_json.contains("post_processor")) {
    const Json found = find_template_processing(tokenizer_json["post_processor"]);
    if (auto id = template_bos(found)) return id;
  }
  if (!tokenizer_config.is_object()) return std::nullopt;
  auto add = tokenizer_config.find("add_bos_token");
  bool adds = add != tokenizer_config.end() && add->is_boolean() && add->get<bool>();
  return adds ? bos_token_id : std::nullopt;
}

void write_special_tokens(Json& json, const ModelConfig& config) {
  if (config.bos_token_id) json["bos_token_id"] = *config.bos_token_id;
  if (config.pad_token_id) json["pad_token_id"] = *config.pad_token_id;
  if (config.eos_token_ids.size() == 1) json["eos_token_id"] = config.eos_token_ids[0];
  if (config.eos_token_ids.size() > 1) json["eos_token_id"] = config.eos_token_ids;
}

}  // namespace longspan
