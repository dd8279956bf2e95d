#pragma once

#include <span>
#include <string>

#include "tools/support/command.h"

namespace longspan {

/// Scripts that complete commands, their options, the values of options with few of them, and
/// names of files elsewhere. To be sourced.
std::string bash_completion(std::span<const Command* const> commands);
std::string zsh_completion(std::span<const Command* const> commands);
std::string fish_completion(std::span<const Command* const> commands);

}  // namespace longspan
