#pragma once

#include <string>
#include <string_view>

namespace longspan {

/// `text`, or a copy in `storage` where each code point younger than PCRE2's Unicode tables is
/// replaced by an older one of the same general category and the same length in bytes. A pattern
/// matches it where Hugging Face's tokenizers, whose tables are younger, match `text`.
std::string_view with_stand_ins(std::string_view text, std::string& storage);

}  // namespace longspan
