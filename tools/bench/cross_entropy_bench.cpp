// Memory and time of chunked_cross_entropy_sum, forward and backward, against the matrix products
// that it is made of.

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>

#include "src/core/json.h"
#include "src/core/process_memory.h"
#include "src/core/text.h"
#include "src/nn/chunked_cross_entropy.h"
#include "tools/bench/bench.h"
#include "tools/bench/timing.h"
#include "trainer/figures/table.h"

namespace longspan {

namespace {

constexpr std::string_view kCrossEntropyBenchExample =
    "  bench cross-entropy --threads 1 --chunks 256,512,1024 --json > cross-entropy.json";

struct Head {
  at::Tensor hidden, weight, labels;  // [N, C], [V, C] bfloat16, [N]
};

void loss_and_gradients(const Head& head, int64_t chunk_tokens) {
  chunked_cross_entropy_sum(head.hidden, head.weight, head.labels, chunk_tokens).backward();
  head.hidden.mutable_grad().reset();
  head.weight.mutable_grad().reset();
}

/// The logits and the gradients of hidden and, when it is trained, of weight, chunk by chunk.
void products(const Head& head, int64_t chunk_tokens) {
  at::NoGradGuard no_gradients;
  const int64_t tokens = head.hidden.size(0);
  at::Tensor logits = at::empty({chunk_tokens, head.weight.size(0)}, head.hidden.options());
  at::Tensor hidden_gradient = at::empty({chunk_tokens, head.hidden.size(1)}, logits.options());
  at::Tensor weight_gradient = at::empty(head.weight.sizes(), logits.options());
  for (int64_t begin = 0; begin < tokens; begin += chunk_tokens) {
    const int64_t rows = std::min(chunk_tokens, tokens - begin);
    const at::Tensor hidden = head.hidden.narrow(0, begin, rows);
    at::Tensor part = logits.narrow(0, 0, rows), gradient = hidden_gradient.narrow(0, 0, rows);
    at::mm_out(part, hidden, head.weight.t());
    at::mm_out(gradient, part, head.weight);
    if (head.weight.requires_grad()) at::mm_out(weight_gradient, part.t(), hidden);
  }
}

/// Resident bytes above what was there before, at the most. Linux counts anew after this write.
int64_t peak_over_inputs(const std::function<void()>& work) {
  std::ofstream("/proc/self/clear_refs") << "5";
  const int64_t before = peak_memory_bytes();
  work();
  return peak_memory_bytes() - before;
}

Json measure(const Head& head, int64_t chunk_tokens) {
  const int64_t bytes = peak_over_inputs([&] { loss_and_gradients(head, chunk_tokens); });
  const double seconds = best_seconds([&] { loss_and_gradients(head, chunk_tokens); });
  const double gemm_seconds = best_seconds([&] { products(head, chunk_tokens); });
  return {{"head", head.weight.requires_grad() ? "trained" : "frozen"},
          {"tokens", head.hidden.size(0)},
          {"vocab_size", head.weight.size(0)},
          {"hidden_size", head.hidden.size(1)},
          {"chunk_tokens", chunk_tokens},
          {"memory_mb", std::round(static_cast<double>(bytes) / 1e5) / 10},
          {"seconds", seconds},
          {"gemm_seconds", gemm_seconds},
          {"gemm_ratio", seconds / gemm_seconds}};
}

Head random_head(int64_t tokens, int64_t vocab_size, int64_t hidden_size) {
  Head head{at::randn({tokens, hidden_size}, at::kBFloat16),
            at::randn({vocab_size, hidden_size}, at::kBFloat16).mul_(0.05),
            at::randint(vocab_size, {tokens}, at::kLong)};
  head.hidden.requires_grad_(true);
  return head;
}

}  // namespace

int cross_entropy_bench(int argc, char** argv) {
  cxxopts::Options options(
      "bench cross-entropy",
      "The loss and its gradients: resident memory over the inputs, and the time against that of "
      "the matrix products alone. With one thread the time is CPU time, else wall time.\n");
  const auto count = [](const char* value) {
    return cxxopts::value<int64_t>()->default_value(value);
  };
  options.add_options("", {{"threads", "0: one a core", count("0"), "N"},
                           {"tokens", "", count("8192"), "N"},
                           {"vocab-size", "", count("49152"), "N"},
                           {"hidden-size", "", count("576"), "N"},
                           {"chunks", "rows of logits that exist at a time",
                            cxxopts::value<std::string>()->default_value("512,1024"), "LIST"},
                           {"json", "print the rows as JSON instead of a table"}});
  auto parsed = parse_bench_options(options, argc, argv, kCrossEntropyBenchExample);
  if (!parsed) return 0;
  set_bench_threads((*parsed)["threads"].as<int64_t>());
  loss_and_gradients(random_head(64, 512, 64), 32);  // what LibTorch loads at its first product
  Head head = random_head((*parsed)["tokens"].as<int64_t>(), (*parsed)["vocab-size"].as<int64_t>(),
                          (*parsed)["hidden-size"].as<int64_t>());
  Table table{fmt::format("Cross entropy, {} threads, bfloat16", at::get_num_threads()),
              {"head", "tokens", "vocabulary", "hidden", "chunk", "memory MB", "seconds",
               "GEMM seconds", "ratio"}};
  Json rows = Json::array();
  for (bool trained : {false, true}) {
    head.weight.requires_grad_(trained);
    for (int64_t chunk : parse_lengths((*parsed)["chunks"].as<std::string>(), "--chunks")) {
      rows.push_back(measure(head, chunk));
      auto& cells = table.rows.emplace_back();
      for (const auto& value : rows.back()) {
        cells.push_back(value.is_number_float() ? fmt::format("{:.2f}", value.get<double>())
                        : value.is_string()     ? value.get<std::string>()
                                                : value.dump());
      }
    }
  }
  fmt::print("{}", parsed->count("json") ? rows.dump(2) + "\n" : text_table(table));
  return 0;
}

}  // namespace longspan
