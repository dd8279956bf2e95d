#include "data/tokenizers/unicode_nfc.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uniset.h>

#include <stdexcept>

namespace longspan {

namespace {

// U+0300 is the first code point that a text in form C may not hold anywhere; its lead byte is CC.
bool is_below_0300(std::string_view text) {
  for (char byte : text) {
    if (static_cast<unsigned char>(byte) >= 0xCC) return false;
  }
  return true;
}

void check(UErrorCode status) {
  if (U_FAILURE(status)) throw std::runtime_error(std::string("ICU: ") + u_errorName(status));
}

const icu::Normalizer2& nfc_of_unicode_9() {
  static const icu::UnicodeSet kCharacters = [] {
    UErrorCode status = U_ZERO_ERROR;
    icu::UnicodeSet set(u"[:age=9.0:]", status);
    check(status);
    set.freeze();
    return set;
  }();
  static const icu::FilteredNormalizer2 kNormalizer = [] {
    UErrorCode status = U_ZERO_ERROR;
    const auto* nfc = icu::Normalizer2::getNFCInstance(status);
    check(status);
    return icu::FilteredNormalizer2(*nfc, kCharacters);
  }();
  return kNormalizer;
}

}  // namespace

std::string_view with_nfc(std::string_view text, std::string& storage) {
  if (is_below_0300(text)) return text;
  if (text.size() > INT32_MAX) throw std::length_error("NFC: a text of over 2 GiB");
  UErrorCode status = U_ZERO_ERROR;
  icu::StringPiece piece(text.data(), static_cast<int32_t>(text.size()));
  bool normalized = nfc_of_unicode_9().isNormalizedUTF8(piece, status);
  check(status);
  if (normalized) return text;
  storage.clear();
  icu::StringByteSink<std::string> sink(&storage, static_cast<int32_t>(text.size()));
  nfc_of_unicode_9().normalizeUTF8(0, piece, sink, nullptr, status);
  check(status);
  return storage;
}

}  // namespace longspan
