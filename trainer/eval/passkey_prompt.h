#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "trainer/eval/arms/item_tokens.h"

namespace longspan {

/// The passkey prompt of LongLoRA's passkey_retrivial.py (and YaRN's, LongLLaMA's), first in
/// landmark attention (arXiv 2305.16300): five lines, the key between two runs of filler, cut by
/// characters from one endless text. depth 0 puts the key before all filler, 1 behind all.
Item passkey_item(int64_t filler_characters, double depth, const std::string& key);

/// Five digits, a pure function of its arguments: every model gets the same keys.
std::string draw_passkey(uint64_t seed, int64_t length, double depth, int64_t trial);

/// Nine other keys to rank `key` among, a pure function of it.
std::vector<std::string> wrong_passkeys(const std::string& key);

struct PasskeyPrompt {
  Item item;
  ItemTokens tokens;
};

/// The longest prompt for which prompt and answer have at most `length` tokens. A length that not
/// even the prompt without filler fits throws Error(kUsage).
PasskeyPrompt build_passkey_prompt(const Tokenizer& tokenizer, std::optional<int64_t> bos_token_id,
                                   int64_t length, double depth, const std::string& key);

}  // namespace longspan
