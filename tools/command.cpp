#include "tools/command.h"

#include <fmt/format.h>

#include <cstdio>

#include "src/core/error.h"

namespace longspan {

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

}  // namespace longspan
