#pragma once

#include <cstdint>

namespace longspan {

/// The most resident memory this process has had so far (VmHWM), 0 where /proc does not say.
int64_t peak_memory_bytes();
/// What the machine can still give without swapping (MemAvailable), 0 where /proc does not say.
int64_t available_memory_bytes();
/// And what swap has left.
int64_t free_swap_bytes();

}  // namespace longspan
