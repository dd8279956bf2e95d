#include "tools/support/completion.h"

#include <fmt/format.h>

#include "tools/commands/commands.h"
#include "tools/support/arguments.h"

namespace longspan {

namespace {

struct Shell {
  std::string_view name;
  std::string (*script)(std::span<const Command* const> commands);
};

constexpr Shell kShells[] = {
    {"bash", bash_completion},
    {"zsh", zsh_completion},
    {"fish", fish_completion},
};

std::vector<std::string> shells() {
  std::vector<std::string> names;
  for (const auto& shell : kShells) names.emplace_back(shell.name);
  return names;
}

constexpr Option kCompletionArguments[] = {
    {"shell", "SHELL", "", "the shell", "", shells},
};

int run_completion(const Arguments& arguments) {
  for (const auto& shell : kShells) {
    if (arguments["shell"] != shell.name) continue;
    fmt::print("{}", shell.script(commands()));
    return 0;
  }
  fail(ExitCode::kUsage, "longspan completion: '{}' is not known; expected one of {}",
       arguments["shell"], join(shells(), ", "));
}

}  // namespace

constinit const Command kCompletionCommand{
    .name = "completion",
    .summary = "print a script that completes commands and options in a shell",
    .description = "Print a script that completes the commands and options of longspan in a shell.",
    .example =
        "  source <(longspan completion bash)      # in ~/.bashrc, to have it always\n"
        "  source <(longspan completion zsh)       # in ~/.zshrc, behind compinit\n"
        "  longspan completion fish > ~/.config/fish/completions/longspan.fish",
    .arguments = kCompletionArguments,
    .run = run_completion,
};

}  // namespace longspan
