#pragma once

#include <filesystem>

#include "checkpoints/model_source.h"

namespace longspan {

struct ExportOptions {
  at::ScalarType dtype = at::kBFloat16;
  int64_t shard_bytes = int64_t{5'000'000'000};
};

/// Writes a Hugging Face folder from `source`: config.json (made from `config`), safetensors with
/// an index when there is more than one, tokenizer and side files. One tensor is in memory at a
/// time; the folder appears whole or not at all; disk space is checked first. model_max_length in
/// tokenizer_config.json follows max_position_embeddings. NaN or infinite weights throw
/// Error(kModel).
void export_hf(const ModelSource& source, const ModelConfig& config,
               const std::filesystem::path& folder, const ExportOptions& options);

/// Whether a model may be written to `folder`: throws Error(kUsage) when it exists and `force` is
/// false, or when it holds something other than a model.
void require_replaceable(const std::filesystem::path& folder, bool force);

/// "5GB", "500MB", "2GiB" or plain bytes. Throws Error(kUsage) naming `option`.
int64_t parse_shard_size(std::string_view text, std::string_view option);

}  // namespace longspan
