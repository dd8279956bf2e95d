#include "src/core/cuda.h"

#include <dlfcn.h>
#include <fmt/format.h>

namespace longspan {

bool has_cuda_driver() {
  std::error_code ignored;
  // The second is that of Windows' Linux.
  return std::filesystem::exists("/dev/nvidiactl", ignored) ||
         std::filesystem::exists("/dev/dxg", ignored);
}

std::string load_cuda(const std::filesystem::path& plugin) {
  if (!has_cuda_driver()) return "there is no NVIDIA driver (/dev/nvidiactl)";
  std::error_code ignored;
  if (!std::filesystem::exists(plugin, ignored)) {
    return fmt::format("{} is not there; it is built where cmake finds nvcc", plugin.string());
  }
  // Global, because the plugin and LibTorch itself look for its symbols. Never unloaded: what it
  // registers stays.
  if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    return fmt::format("LibTorch's CUDA library cannot be loaded: {}", dlerror());
  }
  if (dlopen(plugin.c_str(), RTLD_NOW | RTLD_LOCAL) == nullptr) {
    return fmt::format("the CUDA plugin cannot be loaded: {}", dlerror());
  }
  return {};
}

std::filesystem::path cuda_plugin_beside_program() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "longspan_cuda.so";
}

}  // namespace longspan
