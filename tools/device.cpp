#include "tools/device.h"

#include <ATen/Context.h>

#include "src/core/cuda.h"
#include "src/core/error.h"
#include "src/core/log.h"

namespace longspan {

at::Device open_device(const std::string& name) {
  if (name == "cpu") return at::kCPU;
  if (name != "cuda" && name != "auto") {
    fail(ExitCode::kUsage, "--device: '{}' is not known; expected cpu, cuda or auto", name);
  }
  std::string missing = load_cuda(cuda_plugin_beside_program());
  if (missing.empty() && !at::hasCUDA()) missing = "LibTorch sees no GPU";
  if (missing.empty()) return at::kCUDA;
  if (name == "cuda") {
    fail(ExitCode::kUsage, "--device: cuda cannot be used: {}; use cpu", missing);
  }
  log_info(fmt::format("runs on the CPU: {}", missing));
  return at::kCPU;
}

}  // namespace longspan
