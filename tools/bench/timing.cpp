#include "tools/bench/timing.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>

#include <algorithm>
#include <chrono>
#include <ctime>

#include "src/nn/device.h"

namespace longspan {

void set_bench_threads(int64_t threads) {
  if (threads > 0) at::set_num_threads(static_cast<int>(threads));
}

double cpu_seconds_now() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double seconds_now() {
  if (at::get_num_threads() == 1) return cpu_seconds_now();
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double best_of(const std::function<double()>& work) {
  double best = work(), total = best;
  while (total < 5 && (total < 0.5 || total == best)) {
    double seconds = work();
    best = std::min(best, seconds);
    total += seconds;
  }
  return best;
}

double best_seconds(const std::function<void()>& work) {
  return best_of([&] {
    double start = seconds_now();
    work();
    return seconds_now() - start;
  });
}

void run_in_turn(const std::vector<std::function<void()>>& contenders) {
  constexpr double kTurnSeconds = 0.02;
  const double start = seconds_now();
  for (int round = 0; round < 2 || seconds_now() - start < 3; ++round) {
    for (const auto& run : contenders) {
      const double turn = seconds_now();
      do {
        run();
      } while (seconds_now() - turn < kTurnSeconds);
    }
  }
}

LinearLayer::LinearLayer(at::Device device)
    : rows_(device.is_cpu() ? 4096 : 16384),
      in_(device.is_cpu() ? 2048 : 4096),
      out_(device.is_cpu() ? 2048 : 11008),
      x_(at::randn({rows_, in_}, at::TensorOptions(device).dtype(at::kBFloat16))),
      weight_(at::randn({out_, in_}, at::TensorOptions(device).dtype(at::kBFloat16))) {}

double LinearLayer::run() {
  at::NoGradGuard no_gradients;
  synchronize(x_.device());
  const double start = seconds_now();
  at::linear(x_, weight_);
  synchronize(x_.device());
  const double seconds = seconds_now() - start;
  best_seconds_ = std::min(best_seconds_, seconds);
  return seconds;
}

double LinearLayer::gflops() const {
  return 2e-9 * static_cast<double>(rows_ * in_ * out_) / best_seconds_;
}

double linear_gflops(at::Device device) {
  LinearLayer linear(device);
  best_of([&] { return linear.run(); });
  return linear.gflops();
}

}  // namespace longspan
