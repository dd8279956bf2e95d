#include "trainer/process_memory.h"

#include <malloc.h>

#include <fstream>
#include <limits>
#include <string>

#include "src/nn/page_allocator.h"

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

void keep_freed_memory() {
  use_page_allocator();
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
}

}  // namespace longspan
