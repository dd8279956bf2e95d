#include "tools/command.h"

#include <fmt/format.h>

#include <cstdio>

#include "src/core/error.h"

namespace longspan {

namespace {

/// "--threads: ", of the option whose value cannot be read: cxxopts names the value alone.
std::string option_of(const cxxopts::exceptions::exception& error, int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (!argument.starts_with("--")) continue;
    const size_t equals = argument.find('=');
    const std::string next = i + 1 < argc ? argv[i + 1] : "";
    const std::string value = equals == argument.npos ? next : argument.substr(equals + 1);
    const cxxopts::exceptions::incorrect_argument_type of_value(value);
    if (std::string_view(error.what()) == of_value.what()) return argument.substr(0, equals) + ": ";
  }
  return "";
}

}  // namespace

void add_device_option(cxxopts::Options& options) {
  options.add_options()("device", "cpu, cuda, or auto: cuda where it can be used",
                        cxxopts::value<std::string>()->default_value("cpu"), "DEVICE");
}

std::optional<cxxopts::ParseResult> parse_command_line(cxxopts::Options& options, int argc,
                                                       char** argv, std::string_view example) {
  try {
    auto parsed = options.parse(argc, argv);
    if (parsed.count("help")) {
      fmt::print("{}\nExample:\n{}\n", options.help(), example);
      return std::nullopt;
    }
    if (!parsed.unmatched().empty()) {
      fail(ExitCode::kUsage, "longspan {}: '{}' is one argument too many; see longspan {} -h",
           argv[0], parsed.unmatched().front(), argv[0]);
    }
    return parsed;
  } catch (const cxxopts::exceptions::exception& e) {
    fail(ExitCode::kUsage, "longspan {}: {}{}; see longspan {} -h", argv[0],
         option_of(e, argc, argv), e.what(), argv[0]);
  }
}

}  // namespace longspan
