#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace longspan {

/// Meta's code and llama.cpp rotate neighbouring rows of q and k, Hugging Face the halves of a
/// head: rows (head, i, half) -> (head, half, i), [heads * D, ...] -> the same shape. Rows that do
/// not make `heads` heads of an even D throw Error(kModel) with `place` and the tensor's `name`.
at::Tensor half_split_rows(const at::Tensor& rows, int64_t heads, const std::string& place,
                           const std::string& name);

}  // namespace longspan
