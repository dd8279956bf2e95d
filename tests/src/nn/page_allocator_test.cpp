#include "src/nn/page_allocator.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <c10/core/CPUAllocator.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <thread>
#include <vector>

#include "src/core/process_memory.h"

namespace longspan {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

at::Tensor bytes_of(int64_t count) { return at::empty({count}, at::kByte); }

class PageAllocator : public testing::Test {
 protected:
  PageAllocator() { use_page_allocator(); }
  const PageUse before_ = page_use();
  int64_t live() const { return page_use().live - before_.live; }
};

TEST_F(PageAllocator, CountsLargeTensorsInWholePages) {
  {
    const at::Tensor large = bytes_of(3 * kMiB + 1);
    EXPECT_EQ(live(), 3 * kMiB + 4096);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(large.data_ptr()) % (2 * kMiB), 0u);
    const at::Tensor small = bytes_of(kMiB - 1);
    EXPECT_EQ(live(), 3 * kMiB + 4096);
  }
  EXPECT_EQ(live(), 0);
}

TEST_F(PageAllocator, GivesTheNextTensorOfASizeTheSamePages) {
  at::Tensor first = bytes_of(64 * kMiB);
  const void* data = first.data_ptr();
  first.reset();
  const at::Tensor second = bytes_of(64 * kMiB - 100);
  EXPECT_EQ(second.data_ptr(), data);
}

TEST_F(PageAllocator, GivesAndTakesMemoryWithoutATensor) {
  for (int64_t bytes : {int64_t{0}, int64_t{64}, kMiB - 1, kMiB, 5 * kMiB}) {
    void* data = c10::GetCPUAllocator()->raw_allocate(bytes);
    EXPECT_EQ(live(), bytes < kMiB ? 0 : bytes);
    c10::GetCPUAllocator()->raw_deallocate(data);
    EXPECT_EQ(live(), 0);
  }
}

TEST_F(PageAllocator, DoesNotWasteLargePagesOnASmallTensor) {
  at::Tensor first = bytes_of(64 * kMiB);
  first.reset();
  const at::Tensor second = bytes_of(32 * kMiB);
  EXPECT_EQ(live(), 32 * kMiB);
  EXPECT_LE(page_use().live + page_use().freed, page_use().peak_live);
}

TEST_F(PageAllocator, NeverHoldsMoreThanTensorsHadAtTheirPeak) {
  std::mt19937 random(1);
  std::vector<at::Tensor> tensors;
  for (int i = 0; i < 2000; ++i) {
    if (random() % 2 == 0 || tensors.size() > 20) {
      if (!tensors.empty()) tensors.erase(tensors.begin() + random() % tensors.size());
    } else {
      tensors.push_back(bytes_of(kMiB + static_cast<int64_t>(random() % (8 * kMiB))));
    }
    const PageUse use = page_use();
    ASSERT_LE(use.live + use.freed, use.peak_live);
  }
}

TEST_F(PageAllocator, KeepsWhatEachThreadWrote) {
  const auto work = [](int seed) {
    std::mt19937 random(seed);
    std::vector<at::Tensor> tensors;
    for (int i = 0; i < 200; ++i) {
      const auto size = kMiB + static_cast<int64_t>(random() % kMiB);
      tensors.push_back(at::full({size}, seed, at::kByte));
      if (tensors.size() < 8) continue;
      const size_t index = random() % tensors.size();
      EXPECT_TRUE(tensors[index].eq(seed).all().item<bool>());
      tensors.erase(tensors.begin() + static_cast<int64_t>(index));
    }
  };
  std::vector<std::thread> threads;
  for (int seed = 1; seed <= 4; ++seed) threads.emplace_back(work, seed);
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(live(), 0);
}

TEST_F(PageAllocator, MoreThanTheMachineHasIsAnErrorAndNotTheEndOfTheProcess) {
  for (int64_t bytes : {machine_available_bytes() + free_swap_bytes() + (kMiB << 12), kMiB << 30}) {
    try {
      bytes_of(bytes);
      ADD_FAILURE() << "no error for " << bytes;
    } catch (const c10::OutOfMemoryError& error) {
      EXPECT_THAT(error.what_without_backtrace(), testing::HasSubstr("where the machine has"));
    }
  }
  EXPECT_EQ(live(), 0);
}

}  // namespace
}  // namespace longspan
