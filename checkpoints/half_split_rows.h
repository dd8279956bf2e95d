#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>

namespace longspan {

/// Meta's code and llama.cpp rotate neighbouring rows of q and k, Hugging Face the halves of a
/// head: rows (head, i, half) -> (head, half, i), [heads * D, ...] -> the same shape. Rows that do
/// not make `heads` heads of an even D throw Error(kModel) with `place` and the tensor's `name`.
at::Tensor half_split_rows(const at::Tensor& rows, int64_t heads, const std::string& place,
                           const std::string& name);
/// The reverse: (head, half, i) -> (head, i, half).
at::Tensor interleaved_rows(const at::Tensor& rows, int64_t heads, const std::string& place,
                            const std::string& name);

/// How many heads the rows of tensor `name` (Hugging Face's) make, if RoPE turns them: those of
/// q_proj and k_proj.
std::optional<int64_t> rotated_heads(const std::string& name, int64_t num_attention_heads,
                                     int64_t num_key_value_heads);

}  // namespace longspan
