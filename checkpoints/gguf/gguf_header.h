#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checkpoints/gguf/gguf_blocks.h"
#include "checkpoints/mapped_file.h"
#include "src/core/json.h"

namespace longspan {

/// One tensor of a file, and where its bytes lie.
struct GgufTensor {
  std::string name;
  const GgmlType* type = nullptr;
  std::vector<int64_t> shape;  // PyTorch's order: the last dimension is contiguous
  int64_t elements = 0;
  int64_t bytes = 0;
  std::shared_ptr<const MappedFile> file;
  int64_t offset = 0;  // in the file
};

/// What stands before the data of one .gguf file.
struct GgufHeader {
  std::map<std::string, Json> metadata;
  std::vector<GgufTensor> tensors;
};

/// Reads the header of version 2 or 3 (ggml docs/gguf.md). Every count and length is checked
/// against the file before it is believed, and no tensor lies outside the file or over another;
/// what is wrong throws Error(kModel) with `place`.
GgufHeader read_gguf_header(const std::shared_ptr<const MappedFile>& file,
                            const std::string& place);

}  // namespace longspan
