#pragma once

#include <string_view>
#include <vector>

#include "data/tokenizers/split_behavior.h"

namespace longspan {

/// The parts of a text that are of one script each, as UnicodeScripts of tokenizers 0.23.3 cuts it:
/// by the tables of Unicode 9, with Hiragana and Katakana as Han. Spaces and younger characters
/// belong to the part before them; what stands before the first part is left out. `text` must be
/// valid UTF-8.
std::vector<SplitSpan> script_spans(std::string_view text);

}  // namespace longspan
