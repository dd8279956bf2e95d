#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

namespace longspan {

/// RAM that a GPU copies from and to beside its work: pinned where CUDA is loaded, else plain. A
/// tensor takes its bytes rounded up to pages, where LibTorch's allocator of pinned memory may
/// round up to a power of two. The block of a tensor that is gone serves the next one of its size,
/// as to pin pages takes long; when a new block is needed, those that wait, which have other sizes,
/// are given back.
class PinnedBlocks {
 public:
  PinnedBlocks();

  /// A tensor of the CPU, contiguous, with whatever was in the block. It may outlive this. No
  /// memory is a c10::OutOfMemoryError.
  at::Tensor take(at::IntArrayRef sizes, at::ScalarType dtype);
  /// Of all blocks, those that wait included.
  int64_t bytes() const;

 private:
  struct Blocks;
  std::shared_ptr<Blocks> blocks_;
};

}  // namespace longspan
