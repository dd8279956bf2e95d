#include "src/nn/device.h"

#include <ATen/Context.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>

#include "src/core/cuda.h"
#include "src/core/error.h"
#include "src/core/log.h"
#include "src/core/process_memory.h"
#include "src/core/processor.h"
#include "src/core/text.h"

namespace longspan {

namespace {

// LibTorch counts a kind's memory in all, then by size of block.
constexpr size_t kAll = 0;

c10::DeviceIndex index_of(at::Device device) {
  return std::max<c10::DeviceIndex>(device.index(), 0);
}

c10::CachingDeviceAllocator::DeviceStats stats_of(at::Device device) {
  return c10::getDeviceAllocator(device.type())->getDeviceStats(index_of(device));
}

/// Why CUDA cannot be used, or nothing: then it is ready.
std::string make_cuda_ready() {
  std::string missing = load_cuda(cuda_plugin_beside_program());
  if (missing.empty() && !at::hasCUDA()) missing = "LibTorch sees no GPU";
  // Else its memory cannot be asked for yet.
  if (missing.empty()) at::globalContext().lazyInitDevice(at::kCUDA);
  return missing;
}

std::string_view name_of(Processor processor) {
  switch (processor) {
    case Processor::kAmx:
      return "AVX-512 BF16, products and attention in bfloat16 by LibTorch's AMX";
    case Processor::kAvx512Bf16:
      return "AVX-512 BF16";
    case Processor::kAvx512:
      return "AVX-512, products of bfloat16 in float32";
    case Processor::kAvx2:
      return "AVX2, products of bfloat16 in float32";
    case Processor::kNone:
      break;
  }
  return "none of ours, all work is LibTorch's";
}

}  // namespace

at::Device open_device(const std::string& name) {
  if (name == "cpu") return at::kCPU;
  if (name != "cuda" && name != "auto") {
    fail(ExitCode::kUsage, "--device: '{}' is not known; expected cpu, cuda or auto", name);
  }
  const std::string missing = make_cuda_ready();
  if (missing.empty()) return at::kCUDA;
  if (name == "cuda") {
    fail(ExitCode::kUsage, "--device: cuda cannot be used: {}; use cpu", missing);
  }
  log_info("runs on the CPU: {}", missing);
  return at::kCPU;
}

std::string describe_devices() {
  const std::string missing = make_cuda_ready();
  return fmt::format("cpu   kernels: {}\ncuda  {}\n", name_of(processor()),
                     missing.empty() ? fmt::format("works, {} free",
                                                   human_bytes(available_memory_bytes(at::kCUDA)))
                                     : "cannot be used: " + missing);
}

int64_t peak_memory_bytes(at::Device device) {
  return device.is_cpu() ? peak_memory_bytes() : stats_of(device).allocated_bytes[kAll].peak;
}

int64_t peak_reserved_bytes(at::Device device) {
  return stats_of(device).reserved_bytes[kAll].peak;
}

int64_t available_memory_bytes(at::Device device) {
  if (device.is_cpu()) return available_memory_bytes();
  const auto [free, total] =
      c10::getDeviceAllocator(device.type())->getMemoryInfo(index_of(device));
  const auto stats = stats_of(device);
  const int64_t cached = stats.reserved_bytes[kAll].current - stats.allocated_bytes[kAll].current;
  return static_cast<int64_t>(free) + cached;
}

void use_deterministic_kernels(at::Device device) {
  if (device.is_cpu()) return;
  at::Context& context = at::globalContext();
  context.setDeterministicAlgorithms(true, /*warn_only=*/false);
  context.setDeterministicFillUninitializedMemory(false);  // all that is read was written
}

void synchronize(at::Device device) {
  if (device.is_cpu()) return;
  c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(index_of(device));
}

}  // namespace longspan
