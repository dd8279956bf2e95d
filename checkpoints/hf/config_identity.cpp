#include "checkpoints/hf/config_identity.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "checkpoints/hf/hf_config.h"

namespace longspan {

namespace {

constexpr std::array<std::string_view, 8> kOfWriting = {
    "_name_or_path", "name_or_path", "transformers_version", "architectures",
    "use_cache",     "dtype",        "torch_dtype",          "_attn_implementation_autoset"};

bool says_something(std::string_view key, const nlohmann::json& value) {
  return !value.is_null() && value != false &&
         std::find(kOfWriting.begin(), kOfWriting.end(), key) == kOfWriting.end();
}

}  // namespace

Json config_identity(const ModelConfig& config) {
  const nlohmann::json sorted = write_hf_config(config, at::kFloat);
  Json identity = Json::object();
  for (const auto& [key, value] : sorted.items()) {
    if (says_something(key, value)) identity[key] = Json(value);
  }
  return identity;
}

}  // namespace longspan
