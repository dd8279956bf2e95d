#pragma once

#include <filesystem>
#include <string>

namespace longspan {

/// Whether this machine shows a driver of an NVIDIA GPU. Loads nothing.
bool has_cuda_driver();

/// Why a GPU of this compute capability cannot be used, or nothing: 8.0 (Ampere) is the first with
/// bfloat16, flash attention and code of ours.
std::string why_not_capability(int major, int minor);

/// Loads LibTorch's CUDA library and then `plugin` (longspan_cuda.so), which brings our kernels for
/// it, and looks at the GPU. Returns why it cannot be used, or nothing. Without a driver it loads
/// nothing. To be called before anything asks LibTorch for CUDA (at::hasCUDA, at::manual_seed,
/// backward), which remembers the first answer.
std::string load_cuda(const std::filesystem::path& plugin);

/// Where the plugin of an installed or built program lies: beside it.
std::filesystem::path cuda_plugin_beside_program();

}  // namespace longspan
