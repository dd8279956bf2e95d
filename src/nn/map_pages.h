#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

namespace longspan {

inline constexpr size_t kPage = 4096, kHugePage = size_t{2} << 20;

/// Whole pages for so many bytes.
inline size_t whole_pages(size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

/// New pages at a multiple of kHugePage, huge ones where the kernel gives them; null when there is
/// no memory. `bytes` are whole pages; munmap() gives them back.
inline char* map_pages(size_t bytes) {
  const size_t mapped = bytes + kHugePage;
  void* found =
      mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, /*fd=*/-1, 0);
  if (found == MAP_FAILED) return nullptr;
  char* begin = static_cast<char*>(found);
  const size_t before = (kHugePage - reinterpret_cast<uintptr_t>(begin) % kHugePage) % kHugePage;
  if (before > 0) munmap(begin, before);
  munmap(begin + before + bytes, mapped - before - bytes);
  madvise(begin + before, bytes, MADV_HUGEPAGE);  // a wish: kernels without huge pages refuse
  return begin + before;
}

}  // namespace longspan
