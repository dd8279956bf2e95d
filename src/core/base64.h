#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace longspan {

/// The bytes that `text` stands for in base64 (RFC 4648, with padding); nothing where it is none.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace longspan
