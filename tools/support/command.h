#pragma once

#include <cxxopts.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/text.h"

namespace longspan {

/// One subcommand: a file tools/<name>.cpp with one function, and a line in tools/main.cpp.
/// `argv` starts at the subcommand's name. Returns the exit code; errors are thrown.
struct Command {
  std::string_view name;
  std::string_view summary;
  int (*run)(int argc, char** argv);
};

int card_command(int argc, char** argv);
int convert_command(int argc, char** argv);
int diff_command(int argc, char** argv);
int eval_command(int argc, char** argv);
int generate_command(int argc, char** argv);
int inspect_command(int argc, char** argv);
int logits_command(int argc, char** argv);
int longrope_search_command(int argc, char** argv);
int merge_command(int argc, char** argv);
int plan_command(int argc, char** argv);
int prepare_command(int argc, char** argv);
int pull_command(int argc, char** argv);
int report_command(int argc, char** argv);
int schema_command(int argc, char** argv);
int tokenize_command(int argc, char** argv);
int train_command(int argc, char** argv);
int validate_command(int argc, char** argv);
int verify_command(int argc, char** argv);

/// Adds --device of the commands that compute; open_device (src/nn/device.h) takes its value.
void add_device_option(cxxopts::Options& options);

/// The number that an option of text is; see parse_number (src/core/text.h), as cxxopts reads "0,7"
/// as 0.
template <class Number>
Number number_of(const cxxopts::ParseResult& parsed, const std::string& option) {
  return parse_number<Number>(parsed[option].as<std::string>(), "--" + option);
}

/// What an option or positional argument was given, each time: cxxopts splits at the commas that a
/// file name or a value may hold.
std::vector<std::string> values_of(const cxxopts::ParseResult& parsed, std::string_view option);

/// Parses with cxxopts. `-h` prints the help followed by `example` and returns nothing (the command
/// returns 0); an unknown or malformed option throws Error(kUsage) that names it and points to -h.
/// Give the positional arguments and `help` to `options` before.
std::optional<cxxopts::ParseResult> parse_command_line(cxxopts::Options& options, int argc,
                                                       char** argv, std::string_view example);

}  // namespace longspan
