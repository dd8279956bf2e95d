#pragma once

#include <string_view>
#include <vector>

#include "data/documents/span.h"

namespace longspan {

/// What ends a sentence besides white space behind ".", "!" or "?".
enum class SentenceEnd {
  kLine,       // each line end
  kBlankLine,  // alone, for text whose lines are wrapped
};

/// The sentences of a text, without the white space (blanks, tabs and line ends) between them.
std::vector<Span> sentence_spans(std::string_view text, SentenceEnd end);

}  // namespace longspan
