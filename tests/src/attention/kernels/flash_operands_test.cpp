#include "src/attention/kernels/flash_operands.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace longspan::flash {
namespace {

TEST(FlashTasks, RunOnAllThreads) {
  const int threads = at::get_num_threads();
  at::set_num_threads(2);
  std::atomic<int> started{0};
  std::atomic<int> met{0};
  run_tasks(2, 64, [&](int64_t, void*) {
    ++started;
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (started < 2 && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
    met += started == 2;
  });
  at::set_num_threads(threads);
  EXPECT_EQ(met, 2) << "flash_tasks.cpp was compiled without -fopenmp";
}

TEST(FlashTasks, RunEachTaskOnce) {
  std::vector<std::atomic<int>> runs(1000);
  run_tasks(1000, 64, [&](int64_t task, void*) { ++runs[task]; });
  for (const auto& count : runs) EXPECT_EQ(count, 1);
}

TEST(FlashWaves, StayInTheBudgetAndAreAboutAsLong) {
  EXPECT_EQ(Waves(8, 100, 500).heads_per_wave, 4);
  EXPECT_EQ(Waves(8, 100, 800).heads_per_wave, 8);
  EXPECT_EQ(Waves(3, 100, 10).heads_per_wave, 1);
}

}  // namespace
}  // namespace longspan::flash
