#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <string_view>

#include "src/core/error.h"
#include "src/core/log.h"
#include "src/nn/float32_for_bf16.h"
#include "tools/bench/bench.h"

namespace longspan {

namespace {

struct Bench {
  std::string_view name, summary;
  int (*run)(int argc, char** argv);
};

constexpr Bench kBenches[] = {
    {"attention", "rates of the attention patterns, LibTorch's SDPA and a GEMM", attention_bench},
    {"cross-entropy", "memory and time of the loss against its GEMMs", cross_entropy_bench},
    {"step", "training steps of LoRA on one long text", step_bench},
    {"decode", "a prompt read and tokens decoded, beside products and memory", decode_bench},
    {"memory", "reading under focused memory: speed, memory, and what a search finds",
     memory_bench},
    {"compare", "two saved results row by row, as ratios", compare_bench},
    {"roofline", "a saved result of attention, drawn under the rate of the GEMM", roofline_bench},
    {"random-model", "a model folder of random weights in the shape of a config.json",
     random_model_bench},
};

void print_help(std::FILE* to) {
  fmt::print(to, "bench measures longspan; each of these has -h with an example\n\n");
  for (const auto& bench : kBenches) fmt::print(to, "  {:<14} {}\n", bench.name, bench.summary);
}

int run(int argc, char** argv) {
  std::string_view name = argc > 1 ? argv[1] : "";
  for (const auto& bench : kBenches) {
    if (bench.name == name) return bench.run(argc - 1, argv + 1);
  }
  bool asked = name == "-h" || name == "--help";
  print_help(asked ? stdout : stderr);
  return asked ? 0 : static_cast<int>(ExitCode::kUsage);
}

}  // namespace

std::optional<cxxopts::ParseResult> parse_bench_options(cxxopts::Options& options, int argc,
                                                        char** argv, std::string_view example) {
  options.add_options()("h,help", "this help");
  try {
    auto parsed = options.parse(argc, argv);
    if (parsed.count("help")) {
      fmt::print("{}\nExample:\n{}\n", options.help(), example);
      return std::nullopt;
    }
    return parsed;
  } catch (const cxxopts::exceptions::exception& e) {
    fail(ExitCode::kUsage, "bench {}: {}; see bench {} -h", argv[0], e.what(), argv[0]);
  }
}

}  // namespace longspan

int main(int argc, char** argv) {
  try {
    longspan::use_float32_for_bf16_products();
    return longspan::run(argc, argv);
  } catch (const longspan::Error& e) {
    longspan::log_error(e.what());
    return static_cast<int>(e.code());
  } catch (const std::exception& e) {
    longspan::log_error(e.what());
    return static_cast<int>(longspan::ExitCode::kFailure);
  }
}
