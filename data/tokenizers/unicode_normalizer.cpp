#include "data/tokenizers/unicode_normalizer.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uniset.h>

#include <cstdint>
#include <stdexcept>

namespace longspan {

namespace {

// U+0300 is the first code point that a text in form C may not hold anywhere; its lead byte is CC.
// The other forms change characters from U+00A0 on.
bool is_plain(UnicodeForm form, std::string_view text) {
  const unsigned char end = form == UnicodeForm::kNfc ? 0xCC : 0x80;
  for (char byte : text) {
    if (static_cast<unsigned char>(byte) >= end) return false;
  }
  return true;
}

void check(UErrorCode status) {
  if (U_FAILURE(status)) throw std::runtime_error(std::string("ICU: ") + u_errorName(status));
}

const icu::UnicodeSet& characters_of_unicode_9() {
  static const icu::UnicodeSet kCharacters = [] {
    UErrorCode status = U_ZERO_ERROR;
    icu::UnicodeSet set(u"[:age=9.0:]", status);
    check(status);
    set.freeze();
    return set;
  }();
  return kCharacters;
}

template <class Instance>
icu::FilteredNormalizer2 filtered(Instance instance) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* normalizer = instance(status);
  check(status);
  return {*normalizer, characters_of_unicode_9()};
}

const icu::Normalizer2& normalizer_of(UnicodeForm form) {
  static const icu::FilteredNormalizer2 kForms[] = {
      filtered(icu::Normalizer2::getNFCInstance), filtered(icu::Normalizer2::getNFDInstance),
      filtered(icu::Normalizer2::getNFKCInstance), filtered(icu::Normalizer2::getNFKDInstance)};
  return kForms[static_cast<size_t>(form)];
}

}  // namespace

std::string_view name_of(UnicodeForm form) {
  constexpr std::string_view kNames[] = {"NFC", "NFD", "NFKC", "NFKD"};
  return kNames[static_cast<size_t>(form)];
}

std::string_view in_form(UnicodeForm form, std::string_view text, std::string& storage) {
  if (is_plain(form, text)) return text;
  if (text.size() > INT32_MAX) {
    throw std::length_error(std::string(name_of(form)) + ": a text of over 2 GiB");
  }
  const icu::Normalizer2& normalizer = normalizer_of(form);
  UErrorCode status = U_ZERO_ERROR;
  icu::StringPiece piece(text.data(), static_cast<int32_t>(text.size()));
  bool normalized = normalizer.isNormalizedUTF8(piece, status);
  check(status);
  if (normalized) return text;
  storage.clear();
  icu::StringByteSink<std::string> sink(&storage, static_cast<int32_t>(text.size()));
  normalizer.normalizeUTF8(0, piece, sink, nullptr, status);
  check(status);
  return storage;
}

}  // namespace longspan
