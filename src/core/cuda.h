#pragma once

#include <filesystem>
#include <string>

namespace longspan {

/// Whether this machine shows a driver of an NVIDIA GPU. Loads nothing.
bool has_cuda_driver();

/// Loads LibTorch's CUDA library and then `plugin` (longspan_cuda.so), which brings our kernels for
/// it. Returns why that could not be, or nothing. Without a driver it loads nothing. To be called
/// before anything asks LibTorch for CUDA (at::hasCUDA, at::manual_seed, backward), which remembers
/// the first answer.
std::string load_cuda(const std::filesystem::path& plugin);

/// Where the plugin of an installed or built program lies: beside it.
std::filesystem::path cuda_plugin_beside_program();

}  // namespace longspan
