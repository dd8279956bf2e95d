#include "trainer/plan/stored_tensors.h"

#include <algorithm>
#include <limits>

namespace longspan {

StoredTensors::StoredTensors(const RunShape& shape, const MemoryOptions& memory)
    : is_copied_(!shape.device.is_cpu() && memory.offload != Offload::kNone),
      has_file_(memory.offload == Offload::kDisk),
      bound_(is_copied_ || has_file_ ? *memory.offload_ram : std::numeric_limits<int64_t>::max()),
      fetched_ahead_(fetched_ahead(memory)) {}

void StoredTensors::put(const std::vector<int64_t>& tensors) {
  for (const int64_t bytes : tensors) {
    tensors_.push_back({bytes, on_device_, last_on_disk_});
    largest_ = std::max(largest_, bytes);
    const bool fits = bytes <= bound_ - in_ram_;
    if (fits) {
      in_ram_ += bytes;
    } else if (has_file_) {
      on_disk_ += bytes;
      last_on_disk_ = bytes;
    }
    const bool stays = is_copied_ ? !fits && !has_file_ : fits;
    if (stays) on_device_ += bytes;
  }
}

int64_t StoredTensors::at_work(size_t taken, size_t freed) const {
  if (taken == 0) return on_device_;
  if (is_copied_) return on_device_ + 2 * fetched_ahead_ * largest_;
  const size_t end = tensors_.size() - freed, first = end - taken;
  int64_t bytes = tensors_[first].on_device_before + tensors_[first].ahead;
  for (size_t i = first; i < end; ++i) bytes += tensors_[i].bytes;
  return bytes;
}

}  // namespace longspan
