#include "checkpoints/hf/hf_exporter.h"

#include <algorithm>
#include <iterator>

#include "checkpoints/dtype.h"
#include "checkpoints/hf/hf_config.h"
#include "checkpoints/hf/hf_importer.h"
#include "checkpoints/hf/hf_lengths.h"
#include "checkpoints/hf/hf_tokenizer.h"
#include "checkpoints/hf/special_tokens.h"
#include "checkpoints/run_state/train_state.h"
#include "checkpoints/safetensors_writer.h"
#include "checkpoints/tensor_names.h"
#include "checkpoints/write_progress.h"
#include "src/core/atomic_file.h"
#include "src/core/disk_space.h"
#include "src/core/resumable_folder.h"
#include "src/model/context_length.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

/// The tensors of each shard, in the source's order, with the bytes they will take.
std::vector<std::vector<TensorInfo>> plan_shards(const ModelSource& source,
                                                 const ModelConfig& config,
                                                 const ExportOptions& options) {
  std::vector<std::vector<TensorInfo>> shards(1);
  int64_t filled = 0;
  for (auto info : source.tensors()) {
    if (is_redundant(info.name, config.tie_word_embeddings)) continue;
    info.bytes = info.numel() * static_cast<int64_t>(c10::elementSize(options.dtype));
    info.dtype = safetensors_dtype(options.dtype);
    if (filled > 0 && filled + info.bytes > options.shard_bytes) {
      shards.emplace_back();
      filled = 0;
    }
    filled += info.bytes;
    shards.back().push_back(std::move(info));
  }
  return shards;
}

std::string shard_name(size_t index, size_t count) {
  if (count == 1) return "model.safetensors";
  return fmt::format("model-{:05}-of-{:05}.safetensors", index + 1, count);
}

void write_shard(const fs::path& path, const std::vector<TensorInfo>& infos,
                 const ModelSource& source, at::ScalarType dtype) {
  SafetensorsWriter writer(path, infos);
  for (const auto& info : infos) {
    at::Tensor stored = source.tensor(info.name);
    check_finite(stored, info.name, source.path().string());
    at::Tensor written = stored.to(dtype);
    if (dtype == at::kHalf) {
      check_finite(written, info.name, fmt::format("{} as float16", source.path().string()));
    }
    writer.add(written);
  }
  writer.commit();
}

void write_index(const fs::path& path, const std::vector<std::vector<TensorInfo>>& shards) {
  Json weight_map = Json::object();
  int64_t total_size = 0;
  for (size_t i = 0; i < shards.size(); ++i) {
    for (const auto& info : shards[i]) {
      weight_map[info.name] = shard_name(i, shards.size());
      total_size += info.bytes;
    }
  }
  write_json_file(path, {{"metadata", {{"total_size", total_size}}}, {"weight_map", weight_map}});
}

/// transformers' own: what of config.json concerns generation.
Json generation_config(const ModelConfig& config) {
  Json json = {{"_from_model_config", true}};
  write_special_tokens(json, config);
  return json;
}

/// A max_length that was the whole context (LLaMA 2's is) is the whole context again.
void extend_max_length(Json& generation, const ModelConfig& config) {
  Json before = config.source.value("max_position_embeddings", Json());
  if (before.is_number() && generation.value("max_length", Json()) == before) {
    generation["max_length"] = context_length(config).usable;
  }
}

/// The tokenizer cuts no text that the model can read; what its limit is beyond that stays.
void extend_model_max_length(Json& tokenizer_config, const ModelConfig& config) {
  constexpr const char* kKey = "model_max_length";
  const int64_t usable = context_length(config).usable;
  const Json before = tokenizer_config.value(kKey, Json());
  if (!before.is_number() || before < usable) tokenizer_config[kKey] = usable;
}

void write_side_files(const fs::path& folder, const ModelSource& source,
                      const ModelConfig& config) {
  constexpr const char* kGeneration = "generation_config.json";
  write_json_file(folder / kGeneration, generation_config(config));
  for (auto& [name, content] : source.side_files()) {
    std::string place = (source.path() / name).string();
    if (name == "tokenizer_config.json" || name == kGeneration) {
      Json json = parse_json(content, place, ExitCode::kModel);
      if (!json.is_object()) fail(ExitCode::kModel, "{}: is no map", place);
      if (name == kGeneration) {
        extend_max_length(json, config);
      } else {
        extend_model_max_length(json, config);
      }
      write_json_file(folder / name, json);
      continue;
    }
    fs::create_directories((folder / name).parent_path());
    write_file(folder / name, content);
  }
}

int64_t bytes_of(const std::vector<TensorInfo>& shard) {
  int64_t bytes = 0;
  for (const auto& info : shard) bytes += info.bytes;
  return bytes;
}

/// Whether `path` is the shard that was planned; AtomicFile gave it its name when it was whole.
bool is_written(const fs::path& path, const std::vector<TensorInfo>& planned) {
  if (!fs::exists(path)) return false;
  try {
    SafetensorsReader reader(path);
    return std::equal(planned.begin(), planned.end(), reader.tensors().begin(),
                      reader.tensors().end(), [](const TensorInfo& a, const TensorInfo& b) {
                        return a.name == b.name && a.dtype == b.dtype && a.shape == b.shape;
                      });
  } catch (const Error&) {
    return false;
  }
}

void write_shards(const fs::path& folder, const std::vector<std::vector<TensorInfo>>& shards,
                  const ModelSource& source, at::ScalarType dtype) {
  std::vector<size_t> missing;
  int64_t bytes = 0;
  for (size_t i = 0; i < shards.size(); ++i) {
    if (is_written(folder / shard_name(i, shards.size()), shards[i])) continue;
    missing.push_back(i);
    bytes += bytes_of(shards[i]);
  }
  constexpr int64_t kTokenizerAndHeaders = int64_t{32} << 20;
  require_disk_space(folder, bytes + kTokenizerAndHeaders);
  WriteProgress progress(bytes);
  for (size_t i : missing) {
    write_shard(folder / shard_name(i, shards.size()), shards[i], source, dtype);
    progress.written(bytes_of(shards[i]));
    if (shards.size() > 1) progress.log(fmt::format("shard {} of {}", i + 1, shards.size()));
  }
}

/// Whether models on the hub have a file, or a folder, of that name.
bool is_of_a_model(const fs::directory_entry& entry) {
  constexpr std::string_view kEndings[] = {".json", ".safetensors", ".bin", ".model", ".jinja"};
  constexpr std::string_view kNames[] = {"README.md",  "LICENSE",   "LICENSE.txt",
                                         "merges.txt", "vocab.txt", ".gitattributes"};
  const std::string name = entry.path().filename().string();
  const bool named = std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
  const bool ended = std::any_of(std::begin(kEndings), std::end(kEndings),
                                 [&](std::string_view ending) { return name.ends_with(ending); });
  if (entry.is_directory()) return name == kChatTemplatesFolder;
  const bool is_trained = name == "adapter_config.json" || name == kTrainStateFile;
  return entry.is_regular_file() && !is_trained && (named || ended);
}

}  // namespace

void export_hf(const ModelSource& source, const ModelConfig& config, const fs::path& folder,
               const ExportOptions& options) {
  require_fitting_tensors(source, config);
  auto shards = plan_shards(source, config, options);
  Json config_json = write_hf_config(config, options.dtype);
  ResumableFolder out(folder, {{"source", source.stamps()},
                               {"made_from", options.made_from},
                               {"config", config_json},
                               {"shard_bytes", options.shard_bytes}});
  write_shards(out.path(), shards, source, options.dtype);
  if (shards.size() > 1) write_index(out.path() / "model.safetensors.index.json", shards);
  write_json_file(out.path() / "config.json", config_json);
  warn_of_short_lengths(config_json, (folder / "config.json").string());
  write_side_files(out.path(), source, config);
  if (options.before_appearing) {
    try {
      options.before_appearing(out.path());
    } catch (...) {
      out.discard();
      throw;
    }
  }
  out.commit();
}

void require_replaceable(const fs::path& folder, bool force) {
  const fs::file_status status = fs::symlink_status(folder);
  if (!fs::exists(status)) return;
  if (fs::is_symlink(status) && !fs::exists(folder)) {
    fail(ExitCode::kUsage, "{}: is a link to nothing; remove it or give another folder",
         folder.string());
  }
  if (!force) {
    fail(ExitCode::kUsage, "{}: exists; --force replaces it", folder.string());
  }
  std::string other = fs::is_directory(folder) ? "" : "a file";
  if (other.empty()) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (!is_of_a_model(entry)) other = entry.path().filename().string();
    }
    if (!fs::is_empty(folder) && !fs::exists(folder / "config.json")) other = "no config.json";
  }
  if (!other.empty()) {
    fail(ExitCode::kUsage,
         "{}: holds something other than a model ({}) and is not replaced; give another folder",
         folder.string(), other);
  }
}

void require_apart(const fs::path& in, const fs::path& out) {
  std::error_code unknown;
  const fs::path place = fs::canonical(out, unknown);
  if (unknown) return;  // it is not there yet
  fs::path above = fs::weakly_canonical(in, unknown);
  for (; above != place; above = above.parent_path()) {
    if (above == above.parent_path()) return;
  }
  fail(ExitCode::kUsage, "{}: is or holds {}, which would be lost; give another folder",
       out.string(), in.string());
}

}  // namespace longspan
