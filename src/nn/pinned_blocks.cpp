#include "src/nn/pinned_blocks.h"

#include <ATen/Parallel.h>
#include <ATen/ops/from_blob.h>
#include <c10/util/Exception.h>
#include <c10/util/accumulate.h>
#include <sys/mman.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "src/core/cuda.h"
#include "src/core/process_memory.h"
#include "src/nn/map_pages.h"

namespace longspan {

namespace {

constexpr int64_t kGrainPages = 4096;

/// The kernel clears a page when it is first touched: all threads share that here, where to pin
/// the pages would have one do it.
void touch_pages(char* data, size_t size) {
  at::parallel_for(0, static_cast<int64_t>(size / kPage), kGrainPages,
                   [data](int64_t begin, int64_t end) {
                     for (int64_t page = begin; page < end; ++page) {
                       static_cast<volatile char*>(data)[page * static_cast<int64_t>(kPage)] = 0;
                     }
                   });
}

}  // namespace

struct PinnedBlocks::Blocks {
  struct Block {
    char* data;
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
    // The kernel would promise the pages, and kill the process that touches them.
    const int64_t left = machine_available_bytes();
    char* data = left == 0 || size <= static_cast<size_t>(left) ? map_pages(size) : nullptr;
    TORCH_CHECK_WITH(OutOfMemoryError, data != nullptr, "no ", size,
                     " bytes of RAM are left for activations");
    touch_pages(data, size);
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
      munmap(block.data, size);
      bytes -= size;
    }
    waiting.clear();
  }
};

PinnedBlocks::PinnedBlocks() : blocks_(std::make_shared<Blocks>()) {}

at::Tensor PinnedBlocks::take(at::IntArrayRef sizes, at::ScalarType dtype) {
  const auto exact = static_cast<size_t>(c10::multiply_integers(sizes)) * c10::elementSize(dtype);
  const size_t size = std::max(kPage, whole_pages(exact));
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
