#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "trainer/memory_options.h"
#include "trainer/plan/run_shape.h"

namespace longspan {

/// Where the tensors are that the layers of a pass hand to an ActivationStore, or keep where there
/// is none. Follows src/nn/activation_store.cpp and must change with it.
class StoredTensors {
 public:
  StoredTensors(const RunShape& shape, const MemoryOptions& memory);

  /// Tensors of so many bytes, in the order in which forward puts them. None is cut: it is in RAM
  /// where all of it has room there, else on disk, or it stays on its GPU.
  void put(const std::vector<int64_t>& tensors);

  /// Bytes of all that was put, in RAM (for a GPU too), in the file, and in the device's memory.
  int64_t in_ram() const { return in_ram_; }
  int64_t on_disk() const { return on_disk_; }
  int64_t on_device() const { return on_device_; }

  /// Bytes in the device's memory while backward has taken `taken` tensors and the last `freed`
  /// ones, put after these, are free: with the one that a file gives back ahead of its turn, or
  /// those on their way to a GPU.
  int64_t at_work(size_t taken, size_t freed) const;

 private:
  struct Tensor {
    int64_t bytes;
    int64_t on_device_before;  // of those put before it
    int64_t ahead;             // the last of these that is on disk
  };

  bool is_copied_, has_file_;  // from a GPU to RAM; a file takes what has no room in RAM
  int64_t bound_, fetched_ahead_;
  std::vector<Tensor> tensors_;
  int64_t in_ram_ = 0, on_disk_ = 0, on_device_ = 0, last_on_disk_ = 0, largest_ = 0;
};

}  // namespace longspan
