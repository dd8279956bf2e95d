#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoints/gguf/gguf.h"
#include "checkpoints/gguf/gguf_token_list.h"
#include "checkpoints/gguf/gguf_writer.h"

namespace longspan {

/// The token by whose name llama.cpp knows the end of a turn (special_eog_ids in its
/// src/llama-vocab.cpp); nothing where there is none.
std::optional<int64_t> find_turn_end(const std::vector<std::string>& tokens);

/// The ids that end a text: of eos_token_id, eot_token_id and eom_token_id, then of all tokens with
/// such a name, at which llama.cpp ends it whatever the keys say.
std::vector<int64_t> gguf_end_tokens(const GgufReader& gguf);

/// Sets eot_token_id and eom_token_id to the first two of `ends`, which end a text beside eos;
/// those that llama.cpp knows by their name come last. What finds no place is a warning with
/// `place`.
void write_other_ends(std::vector<int64_t> ends, const GgufTokenList& vocabulary,
                      const std::string& place, GgufMetadata& metadata);

}  // namespace longspan
