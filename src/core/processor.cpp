#include "src/core/processor.h"

#include <cstdlib>
#include <string_view>

#include "src/core/error.h"

namespace longspan {
namespace {

constexpr const char* kNames[] = {"none", "avx2", "avx512", "avx512_bf16"};

Processor detected() {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return Processor::kNone;
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq")) {
    return Processor::kAvx2;
  }
  return __builtin_cpu_supports("avx512bf16") ? Processor::kAvx512Bf16 : Processor::kAvx512;
}

}  // namespace

Processor processor() {
  static const Processor most = detected();
  const char* name = std::getenv("LONGSPAN_CPU");
  if (name == nullptr) return most;
  for (int level = 0; level <= static_cast<int>(most); ++level) {
    if (std::string_view(name) == kNames[level]) return static_cast<Processor>(level);
  }
  fail(ExitCode::kUsage,
       "LONGSPAN_CPU: '{}'; expected none, avx2, avx512 or avx512_bf16, and no more than this "
       "processor has ({})",
       name, kNames[static_cast<int>(most)]);
}

}  // namespace longspan
