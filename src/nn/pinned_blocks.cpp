#include "src/nn/pinned_blocks.h"

#include <ATen/ops/from_blob.h>
#include <c10/util/Exception.h>
#include <c10/util/accumulate.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>

#include "src/core/cuda.h"

namespace longspan {

namespace {

constexpr size_t kPinnedPageBytes = 4096;

}  // namespace

struct PinnedBlocks::Blocks {
  struct Block {
    void* data;
    bool is_pinned;
  };

  std::mutex mutex;
  std::multimap<size_t, Block> waiting;  // by size
  size_t bytes = 0;

  ~Blocks() { give_back(); }

  Block take(size_t size) {
    const std::lock_guard lock(mutex);
    const auto found = waiting.find(size);
    if (found != waiting.end()) {
      const Block block = found->second;
      waiting.erase(found);
      return block;
    }
    give_back();
    void* data = std::aligned_alloc(kPinnedPageBytes, size);
    TORCH_CHECK_WITH(OutOfMemoryError, data != nullptr, "no ", size,
                     " bytes of RAM are left for activations");
    bytes += size;
    return {data, pin_pages(data, size)};
  }

  void put_back(size_t size, Block block) {
    const std::lock_guard lock(mutex);
    waiting.emplace(size, block);
  }

 private:
  void give_back() {
    for (const auto& [size, block] : waiting) {
      if (block.is_pinned) unpin_pages(block.data);
      std::free(block.data);
      bytes -= size;
    }
    waiting.clear();
  }
};

PinnedBlocks::PinnedBlocks() : blocks_(std::make_shared<Blocks>()) {}

at::Tensor PinnedBlocks::take(at::IntArrayRef sizes, at::ScalarType dtype) {
  const auto exact = static_cast<size_t>(c10::multiply_integers(sizes)) * c10::elementSize(dtype);
  const size_t pages = std::max<size_t>(1, (exact + kPinnedPageBytes - 1) / kPinnedPageBytes);
  const size_t size = pages * kPinnedPageBytes;
  const Blocks::Block block = blocks_->take(size);
  return at::from_blob(
      block.data, sizes, [blocks = blocks_, size, block](void*) { blocks->put_back(size, block); },
      at::TensorOptions(dtype));
}

int64_t PinnedBlocks::bytes() const {
  const std::lock_guard lock(blocks_->mutex);
  return static_cast<int64_t>(blocks_->bytes);
}

}  // namespace longspan
