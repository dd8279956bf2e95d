#pragma once

#include "tools/support/command.h"

namespace longspan {

inline std::vector<std::string> made_colours() { return {"red", "green"}; }

// A command with every kind of option.
inline constexpr Option kMadeArguments[] = {
    {"model", "MODEL", "", "a model"},
    {"text", "[FILE...]", "", "documents"},
};
inline constexpr Option kMadeOptions[] = {
    {"out,output", "FILE", "", "what to write", kRequired},
    {"text", "FILE...", "", "documents"},
    {"count", "N", "3", "how many"},
    {"resume", "[PATH]", "", "go on"},
    {"force", "", "", "replace it"},
};
inline constexpr Option kMadeColours[] = {
    {"colour", "COLOUR", "red", "of the lines; it's only seen on a terminal", "Looks",
     made_colours},
};
inline constexpr Command kMade{
    .name = "made",
    .summary = "a command: of the tests",
    .description = "Does nothing.\nA second line; C:\\path",
    .example = "  longspan made m --out x\n  .dots 'and quotes'",
    .arguments = kMadeArguments,
    .options = {kMadeOptions, kMadeColours},
};

inline constexpr const Command* kMadeCommands[] = {&kMade};

}  // namespace longspan
