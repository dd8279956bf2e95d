#include "src/nn/page_allocator.h"

#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>
#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <limits>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "src/core/process_memory.h"
#include "src/core/text.h"
#include "src/nn/map_pages.h"

namespace longspan {

namespace {

constexpr size_t kLeastBytes = size_t{1} << 20;  // smaller tensors stay in glibc's heap

/// Memory and swap that the machine has left.
size_t left_bytes() {
  const int64_t available = machine_available_bytes();
  if (available == 0) return std::numeric_limits<size_t>::max();  // not known
  return static_cast<size_t>(available + free_swap_bytes());
}

/// The pages of all tensors and those kept for the next.
class Pages {
 public:
  /// Throws c10::OutOfMemoryError.
  char* take(size_t bytes) {
    bytes = whole_pages(bytes);
    const std::lock_guard lock(mutex_);
    char* data = reuse(bytes);
    if (!data) {
      const size_t most = std::max<size_t>(peak_live_, live_bytes_ + bytes);
      give_back_until(most - live_bytes_ - bytes);
      data = bytes <= left_bytes() ? map_pages(bytes) : nullptr;
      if (!data) {
        give_back_until(0);
        data = bytes <= left_bytes() ? map_pages(bytes) : nullptr;
      }
      if (!data) fail_for(bytes);
    }
    live_[data] = bytes;
    live_bytes_ += bytes;
    peak_live_ = std::max(peak_live_, live_bytes_);
    return data;
  }

  /// False where `data` are no pages from here.
  bool put_back(char* data) {
    const std::lock_guard lock(mutex_);
    const auto found = live_.find(data);
    if (found == live_.end()) return false;
    freed_.push_back({data, found->second});
    freed_bytes_ += found->second;
    live_bytes_ -= found->second;
    live_.erase(found);
    return true;
  }

  void give_back() {
    const std::lock_guard lock(mutex_);
    give_back_until(0);
  }

  PageUse use() {
    const std::lock_guard lock(mutex_);
    return {static_cast<int64_t>(live_bytes_), static_cast<int64_t>(freed_bytes_),
            static_cast<int64_t>(peak_live_)};
  }

 private:
  struct Freed {
    char* data;
    size_t bytes;
  };

  /// The freed pages that exceed `bytes` the least and by an eighth at most, of equal ones the last
  /// freed, which may still be in the cache. What exceeds goes back to the kernel.
  char* reuse(size_t bytes) {
    auto best = freed_.rend();
    for (auto it = freed_.rbegin(); it != freed_.rend(); ++it) {
      if (it->bytes < bytes || it->bytes > bytes + bytes / 8) continue;
      if (best == freed_.rend() || it->bytes < best->bytes) best = it;
    }
    if (best == freed_.rend()) return nullptr;
    const Freed found = *best;
    freed_.erase(std::next(best).base());
    freed_bytes_ -= found.bytes;
    if (found.bytes > bytes) munmap(found.data + bytes, found.bytes - bytes);
    return found.data;
  }

  [[noreturn]] void fail_for(size_t bytes) const {
    const size_t left = left_bytes();
    std::string message = fmt::format("a tensor of {} beside {} of others", human_bytes(bytes),
                                      human_bytes(live_bytes_));
    if (bytes > left) {
      message += fmt::format(
          " where the machine has {} left; give it less at a time (a shorter length, a smaller "
          "batch)",
          human_bytes(left));
    } else {
      message +=
          " is refused by the system; see ulimit -v, vm.overcommit_memory and vm.max_map_count";
    }
    C10_THROW_ERROR(OutOfMemoryError, message);
  }

  /// The longest freed go first.
  void give_back_until(size_t most) {
    auto it = freed_.begin();
    for (; freed_bytes_ > most; ++it) {
      munmap(it->data, it->bytes);
      freed_bytes_ -= it->bytes;
    }
    freed_.erase(freed_.begin(), it);
  }

  std::mutex mutex_;
  std::unordered_map<char*, size_t> live_;
  std::vector<Freed> freed_;  // in the order in which they were freed; tens, seldom hundreds
  size_t live_bytes_ = 0, freed_bytes_ = 0, peak_live_ = 0;
};

/// Never destroyed: tensors in static storage are freed after it would be.
Pages& pages() {
  static auto* pages = new Pages;
  return *pages;
}

/// Frees what a PageAllocator gave. Pages begin at a multiple of kHugePage, small tensors hardly
/// do.
void free_tensor(void* data) {
  const bool may_be_pages = reinterpret_cast<uintptr_t>(data) % kHugePage == 0;
  if (may_be_pages && pages().put_back(static_cast<char*>(data))) return;
  c10::GetDefaultCPUAllocator()->raw_deallocate(data);
}

class PageAllocator : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    void* data = bytes < kLeastBytes ? c10::GetDefaultCPUAllocator()->raw_allocate(bytes)
                                     : pages().take(bytes);
    return {data, data, free_tensor, c10::DeviceType::CPU};
  }
  // LibTorch's own attention frees by it where the processor has AMX.
  c10::DeleterFnPtr raw_deleter() const override { return free_tensor; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }
};

}  // namespace

void use_page_allocator() {
  static auto* allocator = new PageAllocator;
  c10::SetCPUAllocator(allocator, /*priority=*/1);
}

void keep_freed_scratch() {
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
}

PageUse page_use() { return pages().use(); }

void give_back_freed_pages() { pages().give_back(); }

}  // namespace longspan
