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

namespace {

/// Asks the CUDA runtime, which LibTorch's CUDA library has brought with it.
std::string why_not_first_gpu() {
  constexpr int kMajor = 75, kMinor = 76;  // cudaDevAttrComputeCapabilityMajor, ...Minor
  using GetAttribute = int (*)(int* value, int attribute, int device);
  const auto get_attribute =
      reinterpret_cast<GetAttribute>(dlsym(RTLD_DEFAULT, "cudaDeviceGetAttribute"));
  if (get_attribute == nullptr) return "the CUDA runtime cannot be asked about the GPU";
  int major = 0, minor = 0;
  if (get_attribute(&major, kMajor, 0) != 0 || get_attribute(&minor, kMinor, 0) != 0) {
    return "the driver shows no GPU (is CUDA_VISIBLE_DEVICES set?)";
  }
  return why_not_capability(major, minor);
}

}  // namespace

std::string why_not_capability(int major, int minor) {
  if (major >= 8) return {};
  return fmt::format("the GPU has compute capability {}.{}, and 8.0 (Ampere) or more is needed",
                     major, minor);
}

std::string load_cuda(const std::filesystem::path& plugin) {
  if (!has_cuda_driver()) return "there is no NVIDIA driver (/dev/nvidiactl)";
  std::error_code ignored;
  if (!std::filesystem::exists(plugin, ignored)) {
    return fmt::format("{} is not there; LONGSPAN_CUDA=1 tools/setup.sh builds it",
                       plugin.string());
  }
  // Global, because the plugin and LibTorch itself look for its symbols. Never unloaded: what it
  // registers stays.
  if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    return fmt::format(
        "LibTorch's CUDA library cannot be loaded: {}; LONGSPAN_CUDA=1 tools/setup.sh installs "
        "what "
        "it wants",
        dlerror());
  }
  if (dlopen(plugin.c_str(), RTLD_NOW | RTLD_LOCAL) == nullptr) {
    return fmt::format("the CUDA plugin cannot be loaded: {}", dlerror());
  }
  return why_not_first_gpu();
}

std::filesystem::path cuda_plugin_beside_program() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "longspan_cuda.so";
}

}  // namespace longspan
