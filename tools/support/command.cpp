#include "tools/support/command.h"

#include <fmt/format.h>

#include <cstdio>

#include "src/core/error.h"

namespace longspan {

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
    fail(ExitCode::kUsage, "longspan {}: {}; see longspan {} -h", argv[0], e.what(), argv[0]);
  }
}

std::vector<std::string> values_of(const cxxopts::ParseResult& parsed, std::string_view option) {
  std::vector<std::string> values;
  for (const auto& argument : parsed.arguments()) {
    if (argument.key() == option) values.push_back(argument.value());
  }
  return values;
}

}  // namespace longspan
