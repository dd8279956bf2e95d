#pragma once

#include <cstdint>
#include <filesystem>

#include "src/core/json.h"

namespace longspan {

/// What the weights of Meta's layout say that its params.json does not.
struct MetaShape {
  int64_t vocab_size = 0, intermediate_size = 0;
  bool tied = false;  // without output.weight
};

/// config.json of Hugging Face for a LLaMA that Meta's params.json describes, as transformers'
/// convert_llama_weights_to_hf.py writes it. params.json has no context length: `max_seq_len` in it
/// decides; without that it is the one of the published LLaMA, Code Llama or LLaMA 2, 3, 3.1 or 3.2
/// that has these parameters, and a warning says which. Throws Error(kModel) that lists what is
/// wrong.
Json meta_config_json(const std::filesystem::path& params_path, const MetaShape& shape);

}  // namespace longspan
