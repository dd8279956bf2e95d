#include "src/core/process_memory.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "src/core/text.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

std::optional<int64_t> number_in(const fs::path& file) {
  std::ifstream in(file);
  int64_t number = 0;
  if (in >> number) return number;
  return std::nullopt;
}

int64_t number_after(const std::string& key, const fs::path& file) {
  std::ifstream words(file);
  for (std::string word; words >> word;) {
    int64_t number = 0;
    if (word == key && words >> number) return number;
  }
  return 0;
}

/// What the limit of this one cgroup leaves; "max" is no number.
std::optional<int64_t> left_in(const fs::path& group, bool v2) {
  const auto limit = number_in(group / (v2 ? "memory.max" : "memory.limit_in_bytes"));
  const auto used = number_in(group / (v2 ? "memory.current" : "memory.usage_in_bytes"));
  if (!limit || !used) return std::nullopt;
  int64_t cached = 0;  // of files, which the system drops when memory is wanted
  for (const char* kind : {"inactive_file", "active_file"}) {
    cached += number_after(v2 ? kind : std::string("total_") + kind, group / "memory.stat");
  }
  return std::max<int64_t>(0, *limit - std::max<int64_t>(0, *used - cached));
}

}  // namespace

int64_t peak_memory_bytes() { return 1024 * number_after("VmHWM:", "/proc/self/status"); }

bool reset_peak_memory() {
  std::ofstream file("/proc/self/clear_refs");
  file << "5" << std::flush;
  return file.good();
}

int64_t machine_available_bytes() { return 1024 * number_after("MemAvailable:", "/proc/meminfo"); }
int64_t free_swap_bytes() { return 1024 * number_after("SwapFree:", "/proc/meminfo"); }

std::optional<int64_t> cgroup_available_bytes(const fs::path& root, const std::string& cgroups) {
  std::optional<int64_t> least;
  for (const std::string& line : split(cgroups, '\n')) {  // number:controllers:path
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const auto controllers = split(line.substr(first + 1, second - first - 1), ',');
    const bool v1 = std::ranges::find(controllers, "memory") != controllers.end();
    if (!v1 && !line.starts_with("0::")) continue;
    // Up to the root: a container may see only its own group, there, while the path is the host's.
    for (fs::path group = line.substr(second + 1);; group = group.parent_path()) {
      const auto left = left_in((v1 ? root / "memory" : root) / group.relative_path(), !v1);
      if (left) least = std::min(*left, least.value_or(*left));
      if (!group.has_relative_path()) break;
    }
  }
  return least;
}

int64_t available_memory_bytes() {
  const int64_t machine = machine_available_bytes();
  std::ifstream file("/proc/self/cgroup");
  const auto container =
      cgroup_available_bytes("/sys/fs/cgroup", {std::istreambuf_iterator<char>(file), {}});
  if (!container) return machine;
  const int64_t left = std::max<int64_t>(1, *container);  // 0 would say that it is not known
  return machine == 0 ? left : std::min(machine, left);
}

}  // namespace longspan
