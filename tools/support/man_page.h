#pragma once

#include <span>
#include <string>

#include "tools/support/command.h"

namespace longspan {

/// longspan-COMMAND(1) in the man macros of troff.
std::string man_page(const Command& command);

/// longspan(1), which lists the commands.
std::string man_page(std::span<const Command* const> commands);

}  // namespace longspan
