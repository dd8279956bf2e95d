// Rates of causal_attention against LibTorch's SDPA and a linear layer, in one process:
//   bench attention [threads] [longest]
// prints a JSON array on stdout and a table on stderr. With one thread the time is CPU time, which
// other programs on the machine hardly change; with more it is wall time.

#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "src/attention/kernels/causal_attention.h"
#include "tools/bench/bench.h"

namespace longspan {
namespace {

struct Shape {
  std::string pattern;
  int64_t head_dim, query_heads, key_value_heads, length;
  int64_t group_size;  // full attention: the length
};

struct Rates {
  double forward_gflops, backward_gflops;
};

/// Shifted sparse attention shifts the second half of the heads by half a group.
at::Tensor key_start_of(const Shape& shape) {
  at::Tensor result = at::zeros({1, shape.query_heads, shape.length}, at::kInt);
  auto* to = result.mutable_data_ptr<int32_t>();
  const int64_t group = shape.group_size;
  for (int64_t h = 0; h < shape.query_heads; ++h) {
    const int64_t shift = group < shape.length && 2 * h >= shape.query_heads ? group / 2 : 0;
    for (int64_t i = 0; i < shape.length; ++i) {
      *to++ = static_cast<int32_t>(std::max<int64_t>(0, (i + shift) / group * group - shift));
    }
  }
  return result;
}

double scored_pairs(const at::Tensor& key_start) {
  const int64_t queries = key_start.size(2);
  const auto* start = key_start.const_data_ptr<int32_t>();
  double pairs = 0;
  for (int64_t i = 0; i < key_start.numel(); ++i) pairs += i % queries - start[i] + 1;
  return pairs;
}

double seconds_now() {
  if (at::get_num_threads() == 1) {
    timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec + 1e-9 * time.tv_nsec;
  }
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

/// The best of as many repetitions as fit into half a second, at least two.
template <typename Work>
double best_seconds(const Work& work) {
  double best = 1e30, total = 0;
  for (int repetition = 0; repetition < 2 || total < 0.5; ++repetition) {
    const double seconds = work();
    best = std::min(best, seconds);
    total += seconds;
  }
  return best;
}

Rates measure(const Shape& shape, const at::Tensor& key_start) {
  const auto random = [&](int64_t heads) {
    return at::randn({1, shape.length, heads, shape.head_dim}).to(at::kBFloat16).transpose(1, 2);
  };
  const at::Tensor q = random(shape.query_heads).requires_grad_(true);
  const at::Tensor k = random(shape.key_value_heads).requires_grad_(true);
  const at::Tensor v = random(shape.key_value_heads).requires_grad_(true);
  const at::Tensor grad_out = random(shape.query_heads);
  double backward_seconds = 1e30;
  const double forward_seconds = best_seconds([&] {
    const double start = seconds_now();
    const at::Tensor out = causal_attention(q, k, v, key_start);
    const double middle = seconds_now();
    out.backward(grad_out);
    backward_seconds = std::min(backward_seconds, seconds_now() - middle);
    return middle - start;
  });
  const double gflop = 4e-9 * scored_pairs(key_start) * shape.head_dim;
  return {gflop / forward_seconds, 2.5 * gflop / backward_seconds};
}

double linear_gflops() {
  const at::Tensor x = at::randn({4096, 2048}).to(at::kBFloat16);
  const at::Tensor weight = at::randn({2048, 2048}).to(at::kBFloat16);
  const double seconds = best_seconds([&] {
    const double start = seconds_now();
    at::linear(x, weight);
    return seconds_now() - start;
  });
  return 2e-9 * 4096 * 2048 * 2048 / seconds;
}

void report(const Shape& shape, bool first) {
  const at::Tensor key_start = key_start_of(shape);
  const double linear = linear_gflops();
  const Rates own = measure(shape, key_start);
  setenv("LONGSPAN_ATTENTION", "sdpa", 1);
  const Rates sdpa = measure(shape, key_start);
  unsetenv("LONGSPAN_ATTENTION");
  std::printf(
      "%s\n  {\"pattern\": \"%s\", \"head_dim\": %ld, \"query_heads\": %ld, "
      "\"key_value_heads\": %ld, \"length\": %ld, \"group_size\": %ld, \"forward_gflops\": %.0f, "
      "\"backward_gflops\": %.0f, \"sdpa_forward_gflops\": %.0f, \"sdpa_backward_gflops\": %.0f, "
      "\"linear_gflops\": %.0f}",
      first ? "[" : ",", shape.pattern.c_str(), shape.head_dim, shape.query_heads,
      shape.key_value_heads, shape.length, shape.group_size, own.forward_gflops,
      own.backward_gflops, sdpa.forward_gflops, sdpa.backward_gflops, linear);
  std::fflush(stdout);
  std::fprintf(stderr,
               "%-8s %4ld %5ld/%-2ld %7ld %6ld %8.0f %8.0f %9.0f %9.0f %7.1fx %6.1fx %8.0f\n",
               shape.pattern.c_str(), shape.head_dim, shape.query_heads, shape.key_value_heads,
               shape.length, shape.group_size, own.forward_gflops, own.backward_gflops,
               sdpa.forward_gflops, sdpa.backward_gflops, own.forward_gflops / sdpa.forward_gflops,
               own.backward_gflops / sdpa.backward_gflops, linear);
}

int measure_all(int64_t threads, int64_t longest) {
  at::set_num_threads(static_cast<int>(threads));
  std::fprintf(stderr, "GFLOP/s, %ld threads\n%-8s %4s %8s %7s %6s %8s %8s %9s %9s %8s %7s %8s\n",
               threads, "pattern", "D", "heads", "length", "group", "forward", "backward",
               "sdpa fwd", "sdpa bwd", "fwd", "bwd", "linear");
  bool first = true;
  for (int64_t length = 1024; length <= longest; length *= 4) {
    std::vector<Shape> shapes = {{"full", 64, 9, 3, length, length},
                                 {"full", 128, 8, 2, length, length},
                                 {"shifted", 64, 9, 3, length, length / 4},
                                 {"shifted", 128, 8, 2, length, length / 4}};
    for (const Shape& shape : shapes) {
      report(shape, first);
      first = false;
    }
  }
  std::printf("\n]\n");
  return 0;
}

}  // namespace

int attention_bench(int argc, char** argv) {
  const int64_t threads = argc > 1 ? std::atoll(argv[1]) : at::get_num_threads();
  const int64_t longest = argc > 2 ? std::atoll(argv[2]) : 4096;
  return measure_all(threads, longest);
}

}  // namespace longspan
