#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace longspan {

/// One tensor of a file, of whatever format.
struct TensorInfo {
  std::string name;
  std::string dtype;  // safetensors' name: "BF16", "F32", ...; GGUF's for a GGUF: "Q4_1"
  std::vector<int64_t> shape;
  int64_t bytes = 0;  // as stored

  int64_t numel() const;
};

/// The one of that name, or null.
const TensorInfo* find_tensor(const std::vector<TensorInfo>& infos, std::string_view name);

/// "[32, 64]", for messages.
std::string shape_text(at::IntArrayRef shape);

/// What is wrong with tensors, a line each, fit for a terminal; of more than 20 the rest is
/// counted.
std::vector<std::string> fault_lines(std::vector<std::string> faults);

}  // namespace longspan
