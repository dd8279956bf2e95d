#include <fmt/format.h>

#include "tools/commands/commands.h"
#include "tools/support/arguments.h"
#include "tools/support/man_page.h"

namespace longspan {

namespace {

std::vector<std::string> command_names() {
  std::vector<std::string> names;
  for (const Command* command : commands()) names.emplace_back(command->name);
  return names;
}

constexpr Option kManArguments[] = {
    {"command", "[COMMAND]", "", "without one, the page that lists them", "", command_names},
};

int run_man(const Arguments& arguments) {
  const std::string& name = arguments["command"];
  if (!arguments.given("command")) {
    fmt::print("{}", man_page(commands()));
    return 0;
  }
  for (const Command* command : commands()) {
    if (command->name != name) continue;
    fmt::print("{}", man_page(*command));
    return 0;
  }
  fail(ExitCode::kUsage, "longspan man: '{}' is no command{}", name,
       did_you_mean(name, command_names()));
}

}  // namespace

constinit const Command kManCommand{
    .name = "man",
    .summary = "print the manual page of a command, in troff",
    .description = "Print the manual page of longspan or of one of its commands, as man reads it.",
    .example =
        "  longspan man eval | man -l -\n"
        "  longspan man eval > ~/.local/share/man/man1/longspan-eval.1",
    .arguments = kManArguments,
    .run = run_man,
};

}  // namespace longspan
