#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace longspan {

/// Whether this machine shows a driver of an NVIDIA GPU. Loads nothing.
bool has_cuda_driver();

/// That of the first GPU, 90 for 9.0, or 0 where the CUDA runtime, once loaded, shows none.
int compute_capability();

/// Why a GPU of this compute capability cannot be used, or nothing: 8.0 (Ampere) is the first with
/// bfloat16, flash attention and code of ours.
std::string why_not_capability(int major, int minor);

/// Loads LibTorch's CUDA library and then `plugin` (longspan_cuda.so), which brings our kernels for
/// it, and looks at the GPU. Returns why it cannot be used, or nothing. Without a driver it loads
/// nothing. To be called before anything asks LibTorch for CUDA (at::hasCUDA, at::manual_seed,
/// backward), which remembers the first answer.
std::string load_cuda(const std::filesystem::path& plugin);

/// Pins pages of RAM, so that a GPU copies from and to them beside its work, until unpin_pages().
/// False where CUDA is not loaded, or refuses: copies then hold up the work, and are as right.
bool pin_pages(void* data, size_t bytes);
void unpin_pages(void* data);

/// Where the plugin of an installed or built program lies: beside it.
std::filesystem::path cuda_plugin_beside_program();

}  // namespace longspan
