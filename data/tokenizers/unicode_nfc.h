#pragma once

#include <string>
#include <string_view>

namespace longspan {

/// `text`, or where it is not in normalization form C its form C, made in `storage`: by the tables
/// of Unicode 9, which tokenizers 0.23.3 has; younger characters stay as they are. `text` must be
/// valid UTF-8.
std::string_view with_nfc(std::string_view text, std::string& storage);

}  // namespace longspan
