#pragma once

#include <filesystem>
#include <functional>

namespace longspan {

/// What try_lock() found.
enum class LockResult { kLocked, kHeldByAnother, kUnsupported };

/// Locks an open file or folder against other processes, and against other openings in this one,
/// until it is closed. There are file systems that cannot lock.
LockResult try_lock(int file);

/// Whether `file` is what stands at `path` now: its last holder may have moved or removed it
/// between our open() and our lock.
bool is_at(int file, const std::filesystem::path& path);

/// What `open_part` opens at `part`, locked, and still there: -1 from it, or another process that
/// has it, throws Error(kFailure) that names `place`, what the part is written for. On file systems
/// that cannot lock everyone gets it.
int claim(const std::filesystem::path& part, const std::filesystem::path& place,
          const std::function<int()>& open_part);

}  // namespace longspan
