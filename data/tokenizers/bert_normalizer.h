#pragma once

#include "data/tokenizers/character_filter.h"

namespace longspan {

// What BertNormalizer of tokenizers 0.23.3 does to each character alone; it also decomposes (NFD,
// before accents are dropped) and lowers letters.

/// clean_text: drops controls and U+FFFD, and makes a space of each white space.
extern const CharacterFilter kBertCleanText;

/// handle_chinese_chars: a space on each side of a character of CJK.
extern const CharacterFilter kBertChineseCharacters;

/// strip_accents: drops nonspacing marks.
extern const CharacterFilter kBertStripAccents;

}  // namespace longspan
