#pragma once

#include <filesystem>
#include <string>

#include "checkpoints/hf/hf_config.h"
#include "tests/checkpoints/temporary_folder.h"
#include "tests/support/places.h"

namespace longspan {

/// Of a tiny LLaMA.
inline Json small_config() {
  return {{"architectures", Json::array({"LlamaForCausalLM"})},
          {"model_type", "llama"},
          {"vocab_size", 97},
          {"hidden_size", 24},
          {"intermediate_size", 40},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 3},
          {"num_key_value_heads", 1},
          {"max_position_embeddings", 8192},
          {"rms_norm_eps", 1e-5},
          {"rope_theta", 100000.0},
          {"my_own_key", {{"a", 1}}}};
}

inline Json with(Json config, const Json& changes) {
  config.update(changes);
  return config;
}

/// What read_hf_config says of it.
inline std::string refused(const Json& config) {
  return error_of([&] { read_hf_config(config, "config.json"); });
}

inline const Json kYarn = {
    {"rope_type", "yarn"}, {"factor", 2.0}, {"original_max_position_embeddings", 8192}};

inline const std::filesystem::path kFamilies = reference_folder() / "families";

/// That of transformers for the family in tests/reference, changed.
inline Json family_config(const std::string& family, const Json& changes = Json::object()) {
  return with(read_json_file(kFamilies / family / "config.json", ExitCode::kFailure), changes);
}

}  // namespace longspan
