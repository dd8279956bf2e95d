#include "src/core/process_memory.h"

#include <fstream>
#include <string>

namespace longspan {

namespace {

int64_t kibibytes_of(const char* file, const std::string& key) {
  std::ifstream lines(file);
  for (std::string word; lines >> word;) {
    int64_t kibibytes = 0;
    if (word == key + ":" && lines >> kibibytes) return kibibytes * 1024;
  }
  return 0;
}

}  // namespace

int64_t peak_memory_bytes() { return kibibytes_of("/proc/self/status", "VmHWM"); }
int64_t available_memory_bytes() { return kibibytes_of("/proc/meminfo", "MemAvailable"); }
int64_t free_swap_bytes() { return kibibytes_of("/proc/meminfo", "SwapFree"); }

}  // namespace longspan
