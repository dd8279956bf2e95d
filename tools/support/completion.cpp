#include "tools/support/completion.h"

#include <fmt/format.h>

#include "src/core/text.h"
#include "tools/support/help.h"

namespace longspan {

namespace {

std::string replaced(std::string_view text, std::string_view letters, std::string_view before) {
  std::string result;
  for (char c : text) {
    if (letters.find(c) != letters.npos) result += before;
    result += c;
  }
  return result;
}

/// In single quotes of a POSIX shell.
std::string in_quotes(std::string_view text) {
  std::string result = "'";
  for (char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

/// The help up to its first aside: a menu has one line.
std::string short_help(const Option& option) {
  return std::string(option.help.substr(0, option.help.find_first_of("(;")));
}

std::vector<std::string> flags_of(const Command& command) {
  std::vector<std::string> flags;
  for (const auto& option : options_of(command)) {
    for (const auto& name : option.names()) flags.push_back("--" + name);
  }
  flags.emplace_back("--help");
  return flags;
}

std::string choices_of(const Option& option) {
  return option.choices ? join(option.choices(), " ") : "";
}

/// What its arguments may be, "" for files.
std::string words_of(const Command& command) {
  std::string words;
  for (const auto& argument : command.arguments) words += choices_of(argument);
  return words;
}

/// "--dtype" and what follows it: a case of bash.
std::string bash_values(const Option& option) {
  std::string patterns;
  for (const auto& name : option.names()) {
    patterns += fmt::format("{}--{}", patterns.empty() ? "" : " | ", name);
  }
  std::string reply = option.choices
                          ? fmt::format("_longspan_words {}", in_quotes(choices_of(option)))
                          : "_longspan_files";
  return fmt::format("        {}) {}; return ;;\n", patterns, reply);
}

std::string zsh_value(const Option& option) {
  const bool optional = option.may_be_left_out();
  const std::string_view what =
      optional ? option.value.substr(1, option.value.size() - 2) : option.value;
  return fmt::format("{}:{}:{}", optional ? ":" : "", what,
                     option.choices ? fmt::format("({})", choices_of(option)) : "_files");
}

std::string zsh_options(const Command& command) {
  std::string lines;
  for (const auto& option : options_of(command)) {
    for (const auto& name : option.names()) {
      std::string flag = "--" + name + (option.is_switch() ? "" : "=");
      if (option.may_be_left_out()) flag += "-";
      std::string spec = fmt::format("{}{}[{}]{}", option.repeats() ? "*" : "", flag,
                                     replaced(short_help(option), ":[]", "\\"),
                                     option.is_switch() ? "" : zsh_value(option));
      lines += fmt::format("        {} \\\n", in_quotes(spec));
    }
  }
  return lines;
}

std::string fish_option(const Command& command, const Option& option, const std::string& name) {
  std::string line = fmt::format("complete -c longspan -n '__fish_seen_subcommand_from {}' -l {}",
                                 command.name, name);
  if (option.choices) {
    line += fmt::format(" -x -a {}", in_quotes(choices_of(option)));
  } else if (!option.is_switch() && !option.may_be_left_out()) {
    line += " -r -F";
  }
  return line + fmt::format(" -d {}\n", in_quotes(replaced(short_help(option), "\\", "\\")));
}

}  // namespace

std::string bash_completion(std::span<const Command* const> commands) {
  std::string names, cases;
  for (const Command* command : commands) {
    names += fmt::format("{}{}", names.empty() ? "" : " ", command->name);
    cases += fmt::format("    {})\n      case $before in\n", command->name);
    for (const auto& option : options_of(*command)) {
      if (!option.is_switch()) cases += bash_values(option);
    }
    cases += fmt::format("      esac\n      flags={} words={} ;;\n",
                         in_quotes(join(flags_of(*command), " ")), in_quotes(words_of(*command)));
  }
  return fmt::format(R"(# Completion of longspan for bash, written by: longspan completion bash
_longspan_words() {{ mapfile -t COMPREPLY < <(compgen -W "$1" -- "$word"); }}
_longspan_files() {{
  compopt -o filenames 2> /dev/null
  mapfile -t COMPREPLY < <(compgen -f -- "$word")
}}
_longspan() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} flags= words=
  # bash takes the = of --dtype=bfloat16 for a word of its own.
  if [[ $word == = ]]; then
    word=
  elif [[ $before == = ]]; then
    before=${{COMP_WORDS[COMP_CWORD - 2]}}
  fi
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    _longspan_words '{} --help --version'
    return
  fi
  case ${{COMP_WORDS[1]}} in
{}  esac
  if [[ $word == -* ]]; then
    _longspan_words "$flags"
  elif [[ $words ]]; then
    _longspan_words "$words"
  else
    _longspan_files
  fi
}}
complete -F _longspan longspan
)",
                     names, cases);
}

std::string zsh_completion(std::span<const Command* const> commands) {
  std::string names, cases;
  for (const Command* command : commands) {
    names += fmt::format("    {}\n", in_quotes(fmt::format("{}:{}", command->name,
                                                           replaced(command->summary, ":", "\\"))));
    cases +=
        fmt::format("    {})\n      _arguments -S \\\n{}", command->name, zsh_options(*command));
    const std::string words = words_of(*command);
    cases += fmt::format("        '(- *)'{{-h,--help}}'[this help]' '*:argument:{}' ;;\n",
                         words.empty() ? "_files" : "(" + words + ")");
  }
  return fmt::format(R"(# Completion of longspan for zsh, written by: longspan completion zsh
_longspan() {{
  local -a commands=(
{}  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  shift words
  ((CURRENT--))
  case $words[1] in
{}  esac
}}
compdef _longspan longspan
)",
                     names, cases);
}

std::string fish_completion(std::span<const Command* const> commands) {
  std::string text = "# Completion of longspan for fish, written by: longspan completion fish\n";
  for (const Command* command : commands) {
    text += fmt::format("complete -c longspan -n __fish_use_subcommand -f -a {} -d {}\n",
                        command->name, in_quotes(replaced(command->summary, "\\", "\\")));
  }
  for (const Command* command : commands) {
    for (const auto& option : options_of(*command)) {
      for (const auto& name : option.names()) text += fish_option(*command, option, name);
    }
    if (words_of(*command).empty()) continue;
    text += fmt::format("complete -c longspan -n '__fish_seen_subcommand_from {}' -f -a {}\n",
                        command->name, in_quotes(words_of(*command)));
  }
  return text + "complete -c longspan -s h -l help -d 'this help'\n";
}

}  // namespace longspan
