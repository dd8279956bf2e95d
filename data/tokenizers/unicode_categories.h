#pragma once

namespace longspan {

// Unicode's general categories as tokenizers 0.23.3 has them: by tables of Unicode 8 for
// Punctuation, BertPreTokenizer and BertNormalizer, of Unicode 9 for StripAccents. Younger
// characters have none.

/// P, or a sign of ASCII: "$" and "+" too.
bool is_punctuation(char32_t c);

/// Mn, most accents.
bool is_nonspacing_mark(char32_t c);

/// Cc, Cf or Co: controls, format characters, private use.
bool is_control_or_format(char32_t c);

/// M of Unicode 9: accents, vowel signs and what encloses a character.
bool is_mark(char32_t c);

}  // namespace longspan
