#pragma once

#include <string>
#include <string_view>

namespace longspan {

/// Unicode's normalization forms (its Annex 15).
enum class UnicodeForm { kNfc, kNfd, kNfkc, kNfkd };

/// "NFC".
std::string_view name_of(UnicodeForm form);

/// `text`, or where it is not in that form what it is there, made in `storage`: by the tables of
/// Unicode 9, which tokenizers 0.23.3 has; younger characters stay as they are. `text` must be
/// valid UTF-8.
std::string_view in_form(UnicodeForm form, std::string_view text, std::string& storage);

}  // namespace longspan
