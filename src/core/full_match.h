#pragma once

#include <string>
#include <string_view>

namespace longspan {

/// Python's re.fullmatch for a pattern that a file brings, by PCRE2, in bounded time and memory.
/// Throws Error(kModel) with `place`, the pattern and PCRE2's reason when it is malformed or takes
/// too many steps.
bool full_match(const std::string& pattern, std::string_view text, const std::string& place);

}  // namespace longspan
