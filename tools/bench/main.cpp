#include <cstdio>
#include <exception>
#include <string_view>

#include "tools/bench/bench.h"

namespace longspan {
namespace {

struct Bench {
  std::string_view name;
  const char* usage;
  int (*run)(int argc, char** argv);
};

constexpr Bench kBenches[] = {
    {"attention", "attention [THREADS] [LONGEST]: rates of the attention kernels", attention_bench},
    {"random-model",
     "random-model CONFIG.json OUT: a model folder of random weights, to measure merge and convert",
     random_model_bench},
};

int run(int argc, char** argv) {
  std::string_view name = argc > 1 ? argv[1] : "";
  for (const auto& bench : kBenches) {
    if (bench.name == name) return bench.run(argc - 1, argv + 1);
  }
  for (const auto& bench : kBenches) std::fprintf(stderr, "bench %s\n", bench.usage);
  return 2;
}

}  // namespace
}  // namespace longspan

int main(int argc, char** argv) {
  try {
    return longspan::run(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return 1;
  }
}
