#pragma once

#include <algorithm>
#include <cstdint>

#include "src/nn/lora_dropout.h"

namespace longspan {

/// run(begin, count) for the chunks of `tokens`, in order; chunk_tokens is above 0. Dropout knows
/// where each begins.
template <class Run>
void each_chunk(int64_t tokens, int64_t chunk_tokens, Run run) {
  for (int64_t begin = 0; begin < tokens; begin += chunk_tokens) {
    const FirstToken first(begin);
    run(begin, std::min(chunk_tokens, tokens - begin));
  }
}

}  // namespace longspan
