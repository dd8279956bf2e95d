#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace longspan {

/// The most resident memory this process has had so far (VmHWM), 0 where /proc does not say.
int64_t peak_memory_bytes();
/// Has peak_memory_bytes() begin anew, with what the process has now. False where /proc does not
/// let it (proc(5), clear_refs).
bool reset_peak_memory();
/// What the machine can still give without swapping (MemAvailable), 0 where /proc does not say.
int64_t machine_available_bytes();
/// And what swap has left.
int64_t free_swap_bytes();

/// What the memory limits of a process's cgroups (v2, v1) and of those above them leave it at
/// least, the cache of files counted as left; nothing where there is no limit. `root` is
/// /sys/fs/cgroup, `cgroups` the text of /proc/self/cgroup.
std::optional<int64_t> cgroup_available_bytes(const std::filesystem::path& root,
                                              const std::string& cgroups);

/// The less of what the machine and its container's limit leave this process; 0 where neither says.
/// Reads a dozen files.
int64_t available_memory_bytes();

}  // namespace longspan
