#include "data/tokenizers/bert_normalizer.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "data/tokenizers/unicode_categories.h"
#include "data/tokenizers/white_space.h"
#include "src/core/utf8.h"

namespace longspan {

namespace {

// The blocks of CJK ideographs; Extension E without its first 256.
constexpr std::pair<char32_t, char32_t> kChinese[] = {
    {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},  {0x20000, 0x2A6DF},
    {0x2A700, 0x2B81F}, {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F}};

void append_clean(std::string& text, char32_t c) {
  if (c == '\t' || c == '\n' || c == '\r') {
    text += ' ';
  } else if (c != 0 && c != kReplacementCharacter && !is_control_or_format(c)) {
    append_utf8(text, is_white_space(c) ? U' ' : c);
  }
}

void append_chinese(std::string& text, char32_t c) {
  const bool chinese =
      std::any_of(std::begin(kChinese), std::end(kChinese),
                  [&](const auto& block) { return c >= block.first && c <= block.second; });
  if (chinese) text += ' ';
  append_utf8(text, c);
  if (chinese) text += ' ';
}

void append_unless_nonspacing(std::string& text, char32_t c) {
  if (!is_nonspacing_mark(c)) append_utf8(text, c);
}

}  // namespace

const CharacterFilter kBertCleanText = {"BertNormalizer clean_text", append_clean};
const CharacterFilter kBertChineseCharacters = {"BertNormalizer handle_chinese_chars",
                                                append_chinese, 2};
const CharacterFilter kBertStripAccents = {"BertNormalizer strip_accents",
                                           append_unless_nonspacing};

}  // namespace longspan
