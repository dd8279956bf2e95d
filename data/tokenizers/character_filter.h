#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace longspan {

/// A normalizer of tokenizer.json that looks at each character alone, as tokenizers 0.23.3 has it.
struct CharacterFilter {
  std::string_view name;
  /// What the character becomes is appended to `text`.
  void (*append)(std::string& text, char32_t c);
  size_t growth = 1;  // how many times as long it may make a text, again and again
};

/// Lowercase, StripAccents (drops marks), Nmt (drops controls, makes spaces of other white space)
/// or ByteLevel (the name of each byte); null for other names.
const CharacterFilter* find_character_filter(std::string_view name);

/// `text` itself where nothing changes, else what it becomes, in `storage`. `text` must be valid
/// UTF-8.
std::string_view filtered(const CharacterFilter& filter, std::string_view text,
                          std::string& storage);

}  // namespace longspan
