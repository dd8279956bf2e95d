#include "src/nn/host_copies.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "src/nn/activation_store.h"
#include "tests/support/devices.h"

namespace longspan {
namespace {

TEST(PinnedBlocks, TakeExactlyThePagesOfATensor) {
  PinnedBlocks blocks;
  // A power of two and one number more, which an allocator may round up to twice as much.
  const at::Tensor x = blocks.take({(1 << 20) + 1}, at::kFloat);
  EXPECT_EQ(x.numel(), (1 << 20) + 1);
  EXPECT_EQ(x.scalar_type(), at::kFloat);
  EXPECT_EQ(blocks.bytes(), (4 << 20) + 4096);
}

TEST(PinnedBlocks, ServeTheNextTensorOfTheirSizeAlone) {
  PinnedBlocks blocks;
  at::Tensor first = blocks.take({2, 5000}, at::kBFloat16);
  const at::Tensor second = blocks.take({2, 5000}, at::kBFloat16);
  const void* data = first.const_data_ptr();
  EXPECT_NE(second.const_data_ptr(), data);
  first.reset();
  at::Tensor third = blocks.take({5000, 2}, at::kBFloat16);
  EXPECT_EQ(third.const_data_ptr(), data);
  EXPECT_EQ(blocks.bytes(), 2 * 20480);
  third.reset();
  const at::Tensor other = blocks.take({100}, at::kFloat);
  EXPECT_EQ(blocks.bytes(), 20480 + 4096);  // the one that waited is given back
}

TEST(PinnedBlocks, OutliveTheirOwner) {
  at::Tensor x;
  {
    PinnedBlocks blocks;
    x = blocks.take({3}, at::kFloat).fill_(2);
  }
  EXPECT_EQ(x.sum().item<float>(), 6);
}

TEST(PinnedBlocks, HoldWhatIsEmpty) {
  EXPECT_EQ(PinnedBlocks().take({0, 4}, at::kFloat).numel(), 0);
}

class HostCopiesOn : public testing::TestWithParam<at::DeviceType> {
 protected:
  void SetUp() override {
    if (GetParam() == at::kCPU) return;
    if (auto reason = why_not_on_cuda(); !reason.empty()) GTEST_SKIP() << reason;
  }
  at::Tensor random(at::IntArrayRef sizes) const { return at::randn(sizes).to(GetParam()); }
};

TEST_P(HostCopiesOn, GiveTheSameBitsBack) {
  HostCopies copies(random({1}).device());
  const at::Tensor x = random({3, 700}), turned = x.t();
  const at::Tensor host = copies.to_host(x), host_turned = copies.to_host(turned);
  const at::Tensor back = copies.use(copies.to_device(host));
  EXPECT_TRUE(host.is_cpu());
  EXPECT_EQ(back.device().type(), GetParam());
  EXPECT_TRUE(at::equal(back, x));
  EXPECT_TRUE(at::equal(copies.use(copies.to_device(host_turned)), turned));
  copies.finish();
  EXPECT_TRUE(at::equal(host, x.cpu()));
}

TEST_P(HostCopiesOn, AreNotChangedByWhatTheDeviceDoesNext) {
  HostCopies copies(random({1}).device());
  at::Tensor x = at::arange(1 << 18, at::TensorOptions(GetParam()).dtype(at::kFloat));
  const at::Tensor expected = x.cpu();
  std::vector<at::Tensor> hosts;
  for (int i = 0; i < 5; ++i) hosts.push_back(copies.to_host(x + 0));  // a temporary
  for (const at::Tensor& host : hosts) {
    EXPECT_TRUE(at::equal(copies.use(copies.to_device(host)).cpu(), expected));
  }
}

TEST_P(HostCopiesOn, ServeAStoreThatGivesTensorsBackInReverse) {
  std::vector<ActivationStoreOptions> ways{{},
                                           {.ram_bytes = 50000, .directory = testing::TempDir()}};
  if (GetParam() != at::kCPU) ways.push_back({.ram_bytes = 50000});  // the rest stays where it is
  for (const ActivationStoreOptions& options : ways) {
    const bool to_disk = !options.directory.empty();
    ActivationStore store(options);
    std::vector<at::Tensor> put;
    std::vector<ActivationStore::Ticket> tickets;
    for (int i = 0; i < 7; ++i) {
      put.push_back(random({2, 5, 1000}).transpose(1, 2));
      tickets.push_back(store.put(put.back()));
    }
    while (!put.empty()) {
      const at::Tensor taken = store.take(tickets.back());
      EXPECT_EQ(taken.device().type(), GetParam());
      EXPECT_TRUE(at::equal(taken, put.back()));
      tickets.pop_back();
      put.pop_back();
    }
    EXPECT_EQ(store.bytes_in_ram(), 0);
    EXPECT_EQ(store.bytes_read() > 0, to_disk);
  }
}

INSTANTIATE_TEST_SUITE_P(, HostCopiesOn, testing::Values(at::kCPU, at::kCUDA),
                         [](const auto& info) { return info.param == at::kCPU ? "Cpu" : "Cuda"; });

}  // namespace
}  // namespace longspan
