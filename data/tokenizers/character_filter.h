#pragma once

#include <string>
#include <string_view>

namespace longspan {

/// A normalizer of tokenizer.json that looks at each character alone, as tokenizers 0.23.3 has it.
struct CharacterFilter {
  std::string_view name;
  /// What the character becomes is appended to `text`.
  void (*append)(std::string& text, char32_t c);
};

/// Lowercase, StripAccents (drops marks) or Nmt (drops controls, makes spaces of other white
/// space); null for other names.
const CharacterFilter* find_character_filter(std::string_view name);

/// `text` itself where nothing changes, else what it becomes, in `storage`. `text` must be valid
/// UTF-8.
std::string_view filtered(const CharacterFilter& filter, std::string_view text,
                          std::string& storage);

}  // namespace longspan
