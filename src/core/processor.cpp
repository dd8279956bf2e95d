#include "src/core/processor.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "src/core/error.h"

namespace longspan {
namespace {

constexpr const char* kNames[] = {"none", "avx2", "avx512", "avx512_bf16", "amx"};

/// The processor has it, and Linux gives this process the large state that its tiles need.
bool has_amx() {
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24;
  constexpr long kRequestState = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return false;
  if ((edx & kBf16) == 0 || (edx & kTile) == 0) return false;
  return syscall(SYS_arch_prctl, kRequestState, kTileData) == 0;
}

Processor detected() {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return Processor::kNone;
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq")) {
    return Processor::kAvx2;
  }
  if (!__builtin_cpu_supports("avx512bf16")) return Processor::kAvx512;
  return has_amx() ? Processor::kAmx : Processor::kAvx512Bf16;
}

}  // namespace

Processor processor() {
  static const Processor most = detected();
  const char* name = std::getenv("LONGSPAN_CPU");
  if (name == nullptr) return std::min(most, Processor::kAvx512Bf16);
  for (int level = 0; level <= static_cast<int>(most); ++level) {
    if (std::string_view(name) == kNames[level]) return static_cast<Processor>(level);
  }
  fail(ExitCode::kUsage,
       "LONGSPAN_CPU: '{}'; expected none, avx2, avx512, avx512_bf16 or amx, and no more than this "
       "processor has ({})",
       name, kNames[static_cast<int>(most)]);
}

}  // namespace longspan
