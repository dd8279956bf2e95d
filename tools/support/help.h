#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tools/support/command.h"

namespace longspan {

/// Options under one heading.
struct OptionGroup {
  std::string_view heading;
  std::vector<Option> options;
};

/// The options of a command by heading, in the order in which the headings first appear.
std::vector<OptionGroup> groups_of(const Command& command);

/// "--lengths LIST", "--resume[=PATH]", "--model, --tokenizer MODEL", "--json".
std::string signature_of(const Option& option);

/// The help with its choices and its default: "KIND: none, nf4, int8 (default: none)".
std::string explained(const Option& option);

/// `text` in lines of at most `width` columns, broken at spaces; lines that it has stay.
std::vector<std::string> wrapped(std::string_view text, size_t width);

/// What -h prints, in 100 columns.
std::string help_text(const Command& command);

}  // namespace longspan
