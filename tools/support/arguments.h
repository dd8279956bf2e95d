#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/text.h"
#include "tools/support/command.h"

namespace longspan {

/// What a command was given: its options and its arguments, by name.
class Arguments {
 public:
  /// Whether the command line has it; a default does not count.
  bool given(std::string_view name) const { return !all(name).empty(); }
  /// The value, of several the last; the default where it is not given, "" without one.
  const std::string& operator[](std::string_view name) const;
  /// Every value that was given, in order.
  const std::vector<std::string>& all(std::string_view name) const;
  /// The number that the value is; see parse_number.
  template <class Number>
  Number number(std::string_view name) const {
    return parse_number<Number>((*this)[name], "--" + std::string(name));
  }

 private:
  friend std::optional<Arguments> parse_arguments(const Command&, int, char**);

  struct Values {
    std::vector<std::string> given;
    std::string by_default;
  };
  const Values& values(std::string_view name) const;

  std::map<std::string, Values, std::less<>> values_;  // of all that the command has
};

/// Parses the words behind the program's name: `argv` starts at the command's. Prints the help for
/// -h, and returns nothing then. Throws Error(kUsage), with the nearest name, for an unknown
/// option; for an argument too many, and for one or a required option that is missing.
std::optional<Arguments> parse_arguments(const Command& command, int argc, char** argv);

}  // namespace longspan
