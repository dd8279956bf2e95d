#include "checkpoints/hf/hf_lengths.h"

#include "src/core/log.h"

namespace longspan {

namespace {

constexpr const char* kMaxPositionEmbeddings = "max_position_embeddings";

/// Whether `json` states by `key` a length below `length`.
bool is_shorter(const Json& json, const char* key, int64_t length) {
  auto found = json.find(key);
  return found != json.end() && found->is_number_integer() && *found > 0 && *found < length;
}

}  // namespace

void write_length_keys(Json& json, const ModelConfig& config) {
  const Json before = config.source.value(kMaxPositionEmbeddings, Json());
  for (const char* key : kLengthKeys) {
    if (!is_shorter(json, key, config.max_position_embeddings)) continue;
    if (before.is_number_integer() && is_shorter(json, key, before.get<int64_t>())) continue;
    json[key] = config.max_position_embeddings;
  }
  constexpr const char* kMaxLength = "max_length";  // of generation, which old files state here
  if (before.is_number_integer() && json.value(kMaxLength, Json()) == before) {
    json[kMaxLength] = config.max_position_embeddings;
  }
}

void warn_of_short_lengths(const Json& config_json, const std::string& place) {
  const auto length = config_json.value(kMaxPositionEmbeddings, int64_t{0});
  for (const char* key : kLengthKeys) {
    if (!is_shorter(config_json, key, length)) continue;
    log_warning_once(
        "{}: {} is {} and {} {}; vLLM, which takes the smallest for the context, cuts there; mend "
        "or remove the key",
        place, key, config_json[key].dump(), kMaxPositionEmbeddings, length);
  }
}

}  // namespace longspan
