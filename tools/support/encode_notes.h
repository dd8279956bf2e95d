#pragma once

#include "data/tokenizers/tokenizer.h"

namespace longspan {

/// Warns of what encode_noting() met: special tokens in plain text, and characters that the
/// vocabulary lacks. With `strict` the latter are an Error(kData).
void report_notes(const EncodeNotes& notes, bool strict);

/// {"special_tokens_in_text": {...}, "characters_without_token": {...}}, each by how often.
Json notes_json(const EncodeNotes& notes);

}  // namespace longspan
