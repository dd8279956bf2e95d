#include "trainer/plan/stored_tensors.h"

#include <ATen/ops/empty.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <iterator>

#include "src/nn/activation_store.h"
#include "tests/support/temporary_folder.h"
#include "tests/trainer/plan/tiny_plan.h"

namespace longspan {
namespace {

MemoryOptions offloading(Offload offload, int64_t ram) {
  MemoryOptions memory = default_memory_options();
  memory.offload = offload;
  memory.offload_ram = ram;
  return memory;
}

TEST(StoredTensors, StayWhereTheyAreWithoutAStore) {
  StoredTensors stored(tiny_shape(), default_memory_options());
  stored.put({60, 50});
  EXPECT_EQ(stored.in_ram(), 110);
  EXPECT_EQ(stored.on_device(), 110);
  EXPECT_EQ(stored.on_disk(), 0);
  EXPECT_EQ(stored.at_work(1, 0), 110);
  EXPECT_EQ(stored.at_work(1, 1), 60);
  EXPECT_EQ(stored.at_work(0, 0), 110);
}

TEST(StoredTensors, AreNotCutAndALaterOneMayFindRoom) {
  StoredTensors stored(tiny_shape(), offloading(Offload::kDisk, 100));
  stored.put({60, 50});
  stored.put({40, 10});
  EXPECT_EQ(stored.in_ram(), 60 + 40);
  EXPECT_EQ(stored.on_disk(), 50 + 10);
  EXPECT_EQ(stored.on_device(), 60 + 40);
}

TEST(StoredTensors, StayOnAGpuWhereTheyFindNoRoom) {
  RunShape shape = tiny_shape();
  shape.device = at::kCUDA;
  StoredTensors stored(shape, offloading(Offload::kRam, 100));
  stored.put({60, 50, 40, 10});
  EXPECT_EQ(stored.in_ram(), 60 + 40);
  EXPECT_EQ(stored.on_disk(), 0);
  EXPECT_EQ(stored.on_device(), 50 + 10);
}

/// Three layers that keep both inputs and attention's result, of which RAM has room for the first
/// two tensors, in a store and as they are planned.
class StoredInAFile : public testing::Test {
 protected:
  static constexpr int64_t kUnit = int64_t{1} << 16, kLayers = 3;
  static constexpr int64_t kTensors[] = {kUnit, 2 * kUnit, kUnit};

  StoredInAFile() {
    for (int64_t layer = 0; layer < kLayers; ++layer) {
      for (const int64_t bytes : kTensors) {
        tickets_.push_back(store_.put(at::empty({bytes}, at::kByte)));
      }
    }
    wait_for([&] { return store_.bytes_written() == stored_up_to(kLayers - 1).on_disk(); });
  }

  StoredTensors stored_up_to(int64_t last_layer) const {
    StoredTensors stored(tiny_shape(), offloading(Offload::kDisk, 3 * kUnit));
    for (int64_t layer = 0; layer <= last_layer; ++layer) {
      stored.put({std::begin(kTensors), std::end(kTensors)});
    }
    return stored;
  }

  /// For ten seconds at most.
  template <class Condition>
  static void wait_for(const Condition& condition) {
    for (int i = 0; i < 10000 && !condition(); ++i) usleep(1000);
  }

  /// Takes the last `count` tensors that are kept, and returns the bytes in memory once the file
  /// has given back what is to be ahead.
  int64_t take(int64_t count, int64_t expected) {
    int64_t taken = 0;
    for (; count > 0; --count) {
      taken += static_cast<int64_t>(store_.take(tickets_.back()).nbytes());
      tickets_.pop_back();
    }
    wait_for([&] { return store_.bytes_in_ram() + taken == expected; });
    return store_.bytes_in_ram() + taken;
  }

  TemporaryFolder folder_;
  ActivationStore store_{
      ActivationStoreOptions{.ram_bytes = 3 * kUnit, .directory = folder_.path()}};
  std::vector<ActivationStore::Ticket> tickets_;
};

TEST_F(StoredInAFile, AreWhereTheStoreHasThem) {
  const StoredTensors stored = stored_up_to(kLayers - 1);
  EXPECT_EQ(store_.bytes_written(), stored.on_disk());
  EXPECT_EQ(store_.bytes_in_ram(), stored.in_ram());
  EXPECT_EQ(stored.on_disk(), (4 * kLayers - 3) * kUnit);
}

TEST_F(StoredInAFile, AreInMemoryOneAheadOfWhatIsTaken) {
  for (int64_t layer = kLayers - 1; layer >= 0; --layer) {
    const StoredTensors stored = stored_up_to(layer);
    EXPECT_EQ(take(1, stored.at_work(1, 0)), stored.at_work(1, 0)) << layer;
    EXPECT_EQ(take(2, stored.at_work(2, 1)), stored.at_work(2, 1)) << layer;
  }
  // What RAM has, the input of the last MLP, and attention's result ahead of its turn; then that,
  // the input of attention, and the last input of the layer before.
  const StoredTensors stored = stored_up_to(kLayers - 1);
  EXPECT_EQ(stored.at_work(1, 0), (3 + 1 + 2) * kUnit);
  EXPECT_EQ(stored.at_work(2, 1), (3 + 2 + 1 + 1) * kUnit);
}

}  // namespace
}  // namespace longspan
