#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "src/core/printable.h"

namespace longspan {

/// What format_message() shows for `argument`. A string is a value, of a file or of the user: it is
/// shown on one line (printable_value). A `const char*` is the program's own text, and the items of
/// fmt::join stand as they are.
template <class T>
decltype(auto) message_argument(const T& argument) {
  if constexpr (std::is_convertible_v<const T&, std::string_view> &&
                !std::is_pointer_v<std::decay_t<T>>) {
    return printable_value(argument, kLongestReason);
  } else {
    return (argument);
  }
}

/// fmt::format() of each message_argument(): a value starts no line and moves no cursor.
template <class... Args>
std::string format_message(fmt::format_string<Args...> format, const Args&... args) {
  return fmt::format(fmt::runtime(format), message_argument(args)...);
}

}  // namespace longspan
