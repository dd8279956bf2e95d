#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace longspan {

/// Where a model card's facts are: each is read if it is there, and what is not known is not said.
struct ModelCardSources {
  std::filesystem::path adapter;  // adapter folder; a checkpoint's state.json tells the training
  /// Where the merged model stands or will; none: the card is the adapter's own.
  std::optional<std::filesystem::path> merged{};
  std::string merged_dtype{};  // "bfloat16"
  std::string base{};          // "": what the adapter names
  /// Holds metrics.jsonl and results of `longspan eval`; none: two folders above a checkpoint.
  std::optional<std::filesystem::path> run{};
};

/// The README.md of a merged or adapter folder: Hugging Face's front matter (base_model, where that
/// is a hub id, library_name, tags, the base's license), then base, context and RoPE, method, data,
/// training, the evaluations in the run folder, and what was not measured. A result counts as this
/// model's when its "model" or "adapter" is this folder.
std::string model_card(const ModelCardSources& sources);

/// Writes it as `folder`/README.md.
void write_model_card(const std::filesystem::path& folder, const ModelCardSources& sources);
/// The same for a model or checkpoint that is not to be lost with its card: what goes wrong is a
/// warning.
void add_model_card(const std::filesystem::path& folder, const ModelCardSources& sources);

}  // namespace longspan
