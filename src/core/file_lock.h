#pragma once

#include <filesystem>

namespace longspan {

/// What try_lock() found.
enum class LockResult { kLocked, kHeldByAnother, kUnsupported };

/// Locks an open file or folder against other processes, and against other openings in this one,
/// until it is closed. There are file systems that cannot lock.
LockResult try_lock(int file);

/// Whether `file` is what stands at `path` now: its last holder may have moved or removed it
/// between our open() and our lock.
bool is_at(int file, const std::filesystem::path& path);

}  // namespace longspan
