#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace longspan {

/// The device that --device names: cpu; cuda, made ready to be used, or Error(kUsage) that says why
/// it cannot be; auto, which is cuda where that works. To be called before anything asks LibTorch
/// for CUDA (see load_cuda).
at::Device open_device(const std::string& name);

/// A line a device, for people: which kernels the CPU runs, and that CUDA works or why it does not.
/// To be called before anything asks LibTorch for CUDA, as open_device.
std::string describe_devices();

/// The most that has been in use at once so far: of the CPU the resident memory of the process, of
/// a GPU what LibTorch's allocator had given to tensors (what its caches and CUDA itself hold comes
/// on top).
int64_t peak_memory_bytes(at::Device device);

/// The most that LibTorch's allocator had taken of a GPU: what it had given to tensors, and the
/// holes between them.
int64_t peak_reserved_bytes(at::Device device);

/// What the device can still give; 0 where that is not known.
int64_t available_memory_bytes(at::Device device);

/// From here on the kernels of a GPU give the same bits each time; a CPU's do anyway. What LibTorch
/// has in no such form throws c10::Error when it is called. Attention's backward gets slower.
void use_deterministic_kernels(at::Device device);

/// Waits until the device has done what it was told to, without which times on a GPU say nothing.
void synchronize(at::Device device);

}  // namespace longspan
