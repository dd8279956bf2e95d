#include "checkpoints/hf/tokens_by_use.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

namespace longspan {

namespace {

constexpr const char* kUses[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                 "pad_token", "cls_token", "mask_token"};
constexpr const char* kOfTheFamily = "model_specific_special_tokens";
constexpr const char* kExtraTokens = "extra_special_tokens";
constexpr const char* kOlderExtraTokens = "additional_special_tokens";  // before transformers 5

constexpr const char* kTypeKey = "__type";  // of a map that transformers takes for a token
constexpr const char* kAddedToken = "AddedToken";

bool is_use(std::string_view key) {
  return std::find(std::begin(kUses), std::end(kUses), key) != std::end(kUses);
}

/// The older list counts where the newer one has nothing.
void take_older_extra_tokens(Json& keys, bool over_empty) {
  const Json extra = keys.value(kExtraTokens, Json());
  const bool taken = over_empty ? !extra.empty() : keys.contains(kExtraTokens);
  if (taken || !keys.contains(kOlderExtraTokens)) return;
  Json older = keys[kOlderExtraTokens];  // copied: a new key in an ordered map moves the others
  keys[kExtraTokens] = std::move(older);
}

/// The keys of tokenizer_config.json, and over them, where it has no added_tokens_decoder, those of
/// special_tokens_map.json.
Json keys_by_use(const TokenizerSideFiles& files) {
  Json keys = files.tokenizer_config.is_object() ? files.tokenizer_config : Json::object();
  take_older_extra_tokens(keys, /*over_empty=*/true);
  const Json& map = files.special_tokens_map;
  if (added_tokens_decoder(files).is_object() || !map.is_object()) return keys;
  for (const auto& [key, value] : map.items()) {
    Json& place = keys[key];
    if (key == kExtraTokens && value.is_array() && place.is_array()) {
      place.insert(place.end(), value.begin(), value.end());
    } else {
      place = value;
      if (place.is_object()) place[kTypeKey] = kAddedToken;  // which it is without saying so
    }
  }
  take_older_extra_tokens(keys, /*over_empty=*/false);
  return keys;
}

}  // namespace

bool names_tokenizer_class(const Json& tokenizer_config, const std::string& name) {
  if (!tokenizer_config.is_object()) return false;
  const Json named = tokenizer_config.value("tokenizer_class", Json());
  return named == name || named == name + "Fast";
}

Json added_tokens_decoder(const TokenizerSideFiles& files) {
  const Json& config = files.tokenizer_config;
  return config.is_object() ? config.value("added_tokens_decoder", Json()) : Json();
}

std::vector<Json> tokens_by_use(const TokenizerSideFiles& files) {
  const Json named = keys_by_use(files);
  std::vector<Json> tokens;
  for (const char* use : kUses) tokens.push_back(named.value(use, Json()));
  const size_t before = tokens.size();
  for (const auto& [key, token] : named.items()) {
    if (!key.ends_with("_token") || is_use(key)) continue;
    const bool is_map = token.is_object() && token.value(kTypeKey, Json()) == kAddedToken;
    if (token.is_string() || is_map) tokens.push_back(token);
  }
  const auto add_list = [&](const char* key) {
    const Json list = named.value(key, Json());
    if (!list.is_array() && !list.is_object()) return;
    tokens.insert(tokens.end(), list.begin(), list.end());
  };
  if (tokens.size() == before) add_list(kOfTheFamily);  // which otherwise repeats those
  add_list(kExtraTokens);
  return tokens;
}

std::optional<int64_t> listed_token_id(const std::string& key) {
  constexpr size_t kMostDigits = 9;
  const bool is_number = !key.empty() && key.size() <= kMostDigits &&
                         key.find_first_not_of("0123456789") == std::string::npos;
  return is_number ? std::optional<int64_t>(std::stoll(key)) : std::nullopt;
}

}  // namespace longspan
