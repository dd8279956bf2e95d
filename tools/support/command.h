#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tools/support/option.h"

namespace longspan {

class Arguments;

/// One command of the program: a file in tools/commands, and a line in tools/commands/commands.cpp.
struct Command {
  std::string_view name = "";
  std::string_view summary = "";           // one line of the list of commands
  std::string_view description = "";       // paragraphs of -h and of the man page
  std::string_view example = "";           // lines of a shell
  std::span<const Option> arguments = {};  // by their place; in [] those that may be left out
  std::span<const Option> options[4] = {};
  int (*run)(const Arguments& arguments) = nullptr;  // the exit code; errors are thrown
};

/// All options of a command, those that it shares with others included; without -h.
std::vector<Option> options_of(const Command& command);

/// "longspan convert IN OUT [OPTION...]"
std::string usage_of(const Command& command);

/// "; try shorter --lengths or --quantization nf4": what takes less memory, of what the command
/// has; "" where it has nothing of the kind.
std::string memory_advice(const Command& command);

}  // namespace longspan
