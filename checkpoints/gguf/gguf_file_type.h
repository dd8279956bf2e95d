#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "checkpoints/gguf/gguf_blocks.h"

namespace longspan {

/// What a GGUF file is said to be: most tensors are of one type, some of a better one.
struct GgufFileType {
  std::string_view name;  // "Q4_K_M", as llama.cpp's llama-quantize takes it
  uint32_t id;            // general.file_type, llama.cpp's llama_ftype
  std::string_view most;  // the ggml type of most matrices
};

/// The names of all, as find_gguf_file_type() takes them.
std::vector<std::string> gguf_file_types();
/// Throws Error(kUsage) naming `option` and the types there are. Upper or lower case.
const GgufFileType& find_gguf_file_type(std::string_view name, std::string_view option);

/// What the choice of a tensor's type depends on beside its own name and shape.
struct GgufModelShape {
  int64_t layers = 0;
  bool tied = false;             // no output.weight: token_embd serves as it
  bool llama2_70b_like = false;  // llama.cpp's LLM_TYPE_70B: 80 layers whose attn_v is small
};

/// The type that llama.cpp's converter and llama-quantize (llama-quant.cpp, without an importance
/// matrix) give to tensor `name`: F32 for vectors, more bits for the output and, in Q4_K_M, for
/// half of attn_v and ffn_down; a smaller block where rows do not divide into the type's.
const GgmlType& gguf_tensor_type(const GgufFileType& file_type, const std::string& name,
                                 const std::vector<int64_t>& shape, const GgufModelShape& model);

}  // namespace longspan
