#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace longspan {

/// One option or positional argument of a command. Parsing, -h, the completion of shells and the
/// man page all come from this one line.
struct Option {
  std::string_view name;        // "length"; "model,tokenizer" answers to both names
  std::string_view value;       // "N"; "FILE..." more than once; "[PATH]" may be left out; "": none
  std::string_view by_default;  // "" where there is none, or where the help says it in words
  std::string_view help;
  std::string_view group = "";                      // the heading it stands under in -h
  std::vector<std::string> (*choices)() = nullptr;  // the values there are, where they are few

  bool is_switch() const { return value.empty(); }
  bool may_be_left_out() const { return value.starts_with('['); }
  bool repeats() const { return value.find("...") != value.npos; }
  /// The names it answers to, the first of which the command asks for.
  std::vector<std::string> names() const;
};

/// The group of options without which a command does not run.
constexpr std::string_view kRequired = "Required";

}  // namespace longspan
