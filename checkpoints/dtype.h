#pragma once

#include <c10/core/ScalarType.h>

#include <optional>
#include <string>
#include <string_view>

namespace longspan {

/// safetensors' name of a dtype ("BF16", "F32", ...) and back; nothing when LibTorch or the format
/// lacks it.
std::string_view safetensors_dtype(at::ScalarType dtype);
std::optional<at::ScalarType> from_safetensors_dtype(std::string_view name);

/// The dtype of one of PyTorch's typed storages: "torch.BFloat16Storage"; nothing for other names.
std::optional<at::ScalarType> from_torch_storage(std::string_view name);

/// PyTorch's name, as config.json and command lines give it: "bfloat16", "float16", "float32".
std::string_view torch_dtype(at::ScalarType dtype);
/// Throws Error(kUsage) naming `option` and the three names.
at::ScalarType parse_torch_dtype(std::string_view name, std::string_view option);

}  // namespace longspan
