#include "src/nn/device.h"

#include <ATen/Context.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>

#include "src/core/cuda.h"
#include "src/core/error.h"
#include "src/core/log.h"
#include "src/core/process_memory.h"

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

}  // namespace

at::Device open_device(const std::string& name) {
  if (name == "cpu") return at::kCPU;
  if (name != "cuda" && name != "auto") {
    fail(ExitCode::kUsage, "--device: '{}' is not known; expected cpu, cuda or auto", name);
  }
  std::string missing = load_cuda(cuda_plugin_beside_program());
  if (missing.empty() && !at::hasCUDA()) missing = "LibTorch sees no GPU";
  if (missing.empty()) {
    at::globalContext().lazyInitDevice(at::kCUDA);  // else its memory cannot be asked for yet
    return at::kCUDA;
  }
  if (name == "cuda") {
    fail(ExitCode::kUsage, "--device: cuda cannot be used: {}; use cpu", missing);
  }
  log_info(fmt::format("runs on the CPU: {}", missing));
  return at::kCPU;
}

int64_t peak_memory_bytes(at::Device device) {
  return device.is_cpu() ? peak_memory_bytes() : stats_of(device).allocated_bytes[kAll].peak;
}

int64_t available_memory_bytes(at::Device device) {
  if (device.is_cpu()) return available_memory_bytes();
  const auto [free, total] =
      c10::getDeviceAllocator(device.type())->getMemoryInfo(index_of(device));
  const auto stats = stats_of(device);
  const int64_t cached = stats.reserved_bytes[kAll].current - stats.allocated_bytes[kAll].current;
  return static_cast<int64_t>(free) + cached;
}

void synchronize(at::Device device) {
  if (device.is_cpu()) return;
  c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(index_of(device));
}

}  // namespace longspan
