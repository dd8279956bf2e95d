#pragma once

#include "src/model/model_config.h"

namespace longspan {

/// Keys beside max_position_embeddings by which a config.json may state the context; vLLM serves
/// the smallest of all (vllm.config.model, _get_and_verify_max_len).
inline constexpr const char* kLengthKeys[] = {"n_positions",         "n_ctx",
                                              "max_seq_len",         "seq_length",
                                              "model_max_length",    "max_sequence_length",
                                              "max_seq_length",      "seq_len",
                                              "max_target_positions"};

/// Brings the keys of length that `json` has and that held the whole context of the model it was
/// read from (config.source) to config's max_position_embeddings.
void write_length_keys(Json& json, const ModelConfig& config);

/// Warns, once, of those that stay below it: they were shorter than the model's context before.
void warn_of_short_lengths(const Json& config_json, const std::string& place);

}  // namespace longspan
