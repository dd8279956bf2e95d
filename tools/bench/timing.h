#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace longspan {

/// Uses that many threads; 0: LibTorch's choice, one a core.
void set_bench_threads(int64_t threads);

/// Seconds that all threads of this process have computed.
double cpu_seconds_now();

/// With one thread the CPU time of the process, which other programs on the machine hardly change;
/// with more wall time.
double seconds_now();

/// The least time of `work` in as many repetitions as fit into half a second, two at least, and one
/// where that takes five seconds. `work` returns its own time in seconds.
double best_of(const std::function<double()>& work);

/// The same, the whole of `work` being timed.
double best_seconds(const std::function<void()>& work);

/// Runs the contenders in turn until that took three seconds, twice at least: each has as many
/// turns as the others, and what else the machine does hinders all of them. A turn lasts 20 ms at
/// least: a processor needs the first of them to reach the speed of other work.
void run_in_turn(const std::vector<std::function<void()>>& contenders);

/// A bfloat16 at::linear, of what this machine reaches: [4096, 2048] x [2048, 2048] on the CPU,
/// [16384, 4096] x [4096, 11008], which fills it, on a GPU.
class LinearLayer {
 public:
  explicit LinearLayer(at::Device device = at::kCPU);
  double run();           // its seconds
  double gflops() const;  // of the best run

 private:
  int64_t rows_, in_, out_;
  at::Tensor x_, weight_;
  double best_seconds_ = 1e30;
};

/// GFLOP/s of a LinearLayer alone.
double linear_gflops(at::Device device = at::kCPU);

}  // namespace longspan
