#include "src/core/cuda.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>

#include "src/core/log.h"

namespace longspan {

bool has_cuda_driver() {
  std::error_code ignored;
  // The second is that of Windows' Linux.
  return std::filesystem::exists("/dev/nvidiactl", ignored) ||
         std::filesystem::exists("/dev/dxg", ignored);
}

namespace {

/// A function of the CUDA runtime, which LibTorch's CUDA library has brought with it; or null.
template <class Function>
Function* runtime(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

std::string why_not_first_gpu() {
  if (runtime<int(int*, int, int)>("cudaDeviceGetAttribute") == nullptr) {
    return "the CUDA runtime cannot be asked about the GPU";
  }
  const int capability = compute_capability();
  if (capability == 0) return "the driver shows no GPU (is CUDA_VISIBLE_DEVICES set?)";
  return why_not_capability(capability / 10, capability % 10);
}

/// What LibTorch reads from the environment when it first gives out memory and multiplies; what the
/// user has set stays.
void set_environment() {
  // The workspaces that it takes on Hopper anyway, with which cuBLAS gives the same bits each time.
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  if (std::getenv("PYTORCH_CUDA_ALLOC_CONF") != nullptr) return;
  // Segments that grow leave fewer holes between activations of many sizes.
  setenv("PYTORCH_ALLOC_CONF", "expandable_segments:True", /*overwrite=*/0);
}

}  // namespace

int compute_capability() {
  constexpr int kMajor = 75, kMinor = 76;  // cudaDevAttrComputeCapabilityMajor, ...Minor
  const auto get_attribute =
      runtime<int(int* value, int attribute, int device)>("cudaDeviceGetAttribute");
  int major = 0, minor = 0;
  const bool is_known = get_attribute != nullptr && get_attribute(&major, kMajor, 0) == 0 &&
                        get_attribute(&minor, kMinor, 0) == 0;
  return is_known ? 10 * major + minor : 0;
}

std::string why_not_capability(int major, int minor) {
  if (major >= 8) return {};
  return fmt::format("the GPU has compute capability {}.{}, and 8.0 (Ampere) or more is needed",
                     major, minor);
}

std::string load_cuda(const std::filesystem::path& plugin) {
  if (!has_cuda_driver()) return "there is no NVIDIA driver (/dev/nvidiactl)";
  set_environment();
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
        "what it wants",
        dlerror());
  }
  if (dlopen(plugin.c_str(), RTLD_NOW | RTLD_LOCAL) == nullptr) {
    return fmt::format("the CUDA plugin cannot be loaded: {}", dlerror());
  }
  return why_not_first_gpu();
}

bool pin_pages(void* data, size_t bytes) {
  if (!has_cuda_driver()) return false;
  const auto pin = runtime<int(void* data, size_t bytes, unsigned flags)>("cudaHostRegister");
  const auto forget_error = runtime<int()>("cudaGetLastError");
  if (pin == nullptr || forget_error == nullptr) return false;
  const int error = pin(data, bytes, /*flags=*/0);
  if (error == 0) return true;
  forget_error();  // else LibTorch takes it for one of its own
  log_warning_once(
      "memory of the host cannot be pinned (CUDA error {}): copies to and from the GPU are slow, "
      "and it waits for them",
      error);
  return false;
}

void unpin_pages(void* data) {
  const auto unpin = runtime<int(void* data)>("cudaHostUnregister");
  if (unpin == nullptr) return;
  const auto wait = runtime<int()>("cudaDeviceSynchronize");
  if (wait != nullptr) wait();  // a copy may be under way
  unpin(data);
}

std::filesystem::path cuda_plugin_beside_program() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "longspan_cuda.so";
}

}  // namespace longspan
