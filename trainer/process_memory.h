#pragma once

#include <cstdint>

namespace longspan {

/// The most resident memory this process has had so far (VmHWM), 0 where /proc does not say.
int64_t peak_memory_bytes();
/// What the machine can still give without swapping (MemAvailable), 0 where /proc does not say.
int64_t available_memory_bytes();

/// Lets the process keep freed memory for what it needs next: large tensors by the page allocator
/// (src/nn/page_allocator.h), the scratch of LibTorch's libraries in glibc's heap.
void keep_freed_memory();

}  // namespace longspan
