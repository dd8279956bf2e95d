#pragma once

#include <cstdint>
#include <functional>

namespace longspan {

/// Uses that many threads; 0: LibTorch's choice, one a core.
void set_bench_threads(int64_t threads);

/// With one thread the CPU time of the process, which other programs on the machine hardly change;
/// with more wall time.
double seconds_now();

/// The least time of `work` in as many repetitions as fit into half a second, two at least, and one
/// where that takes five seconds. `work` returns its own time in seconds.
double best_of(const std::function<double()>& work);

/// The same, the whole of `work` being timed.
double best_seconds(const std::function<void()>& work);

/// GFLOP/s of a bfloat16 at::linear [4096, 2048] x [2048, 2048]: what this machine reaches now.
double linear_gflops();

}  // namespace longspan
