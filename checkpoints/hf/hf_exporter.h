#pragma once

#include <filesystem>
#include <functional>

#include "checkpoints/model_source.h"

namespace longspan {

/// How export_hf() writes, and what is done before its folder is there.
struct ExportOptions {
  at::ScalarType dtype = at::kBFloat16;
  int64_t shard_bytes = int64_t{5'000'000'000};
  /// What decides the result beside the source, the config and these options (an adapter's files).
  Json made_from{};
  /// Called with the whole folder before it appears in its place; may add files to it. An error it
  /// throws removes all that was written.
  std::function<void(const std::filesystem::path& folder)> before_appearing{};
};

/// Writes a Hugging Face folder from `source`: config.json (made from `config`), safetensors with
/// an index when there is more than one, tokenizer and side files; model_max_length and max_length
/// in them grow to the model's usable length (context_length), and a generation_config.json is made
/// where there is none. One tensor is in memory at a time. The folder appears whole or not at all;
/// interrupted, it goes on behind the last finished shard (see ResumableFolder). The disk space of
/// what is still to be written is checked first. NaN or infinite weights, and tensors that do not
/// fit `config`, throw Error(kModel).
void export_hf(const ModelSource& source, const ModelConfig& config,
               const std::filesystem::path& folder, const ExportOptions& options);

/// Whether a model may be written to `folder`: throws Error(kUsage) when it exists and `force` is
/// false, or when it holds something other than a model.
void require_replaceable(const std::filesystem::path& folder, bool force);

/// Throws Error(kUsage) when `in` is `out` or lies within it, and would go when that is replaced.
void require_apart(const std::filesystem::path& in, const std::filesystem::path& out);

}  // namespace longspan
