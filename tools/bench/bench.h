#pragma once

#include <cxxopts.hpp>
#include <optional>
#include <string_view>

namespace longspan {

// What build/bench can do; `argv` starts at the name. Each returns the exit code; errors are
// thrown.

int attention_bench(int argc, char** argv);
int compare_bench(int argc, char** argv);
int cross_entropy_bench(int argc, char** argv);
int decode_bench(int argc, char** argv);
int memory_bench(int argc, char** argv);
int random_model_bench(int argc, char** argv);
int roofline_bench(int argc, char** argv);
int step_bench(int argc, char** argv);

/// Adds -h and parses. With -h prints the help and `example` and returns nothing; an unknown or
/// malformed option throws Error(kUsage).
std::optional<cxxopts::ParseResult> parse_bench_options(cxxopts::Options& options, int argc,
                                                        char** argv, std::string_view example);

}  // namespace longspan
