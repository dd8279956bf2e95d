#include "checkpoints/hf_exporter.h"

#include <charconv>

#include "checkpoints/dtype.h"
#include "src/core/atomic_file.h"

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
    if (info.name == "lm_head.weight" && config.tie_word_embeddings) continue;
    if (info.name.ends_with("rotary_emb.inv_freq")) continue;
    info.bytes = static_cast<int64_t>(c10::elementSize(options.dtype));
    for (int64_t size : info.shape) info.bytes *= size;
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

void write_side_files(const fs::path& folder, const ModelSource& source,
                      const ModelConfig& config) {
  for (auto& [name, content] : source.side_files()) {
    if (name == "tokenizer_config.json") {
      Json json = parse_json(content, (source.path() / name).string(), ExitCode::kModel);
      json["model_max_length"] = config.max_position_embeddings;
      write_json_file(folder / name, json);
      continue;
    }
    AtomicFile file(folder / name);
    file.write(content);
    file.commit();
  }
}

}  // namespace

void export_hf(const ModelSource& source, const ModelConfig& config, const fs::path& folder,
               const ExportOptions& options) {
  auto shards = plan_shards(source, config, options);
  int64_t bytes = int64_t{32} << 20;  // tokenizer and headers
  for (const auto& shard : shards) {
    for (const auto& info : shard) bytes += info.bytes;
  }
  require_disk_space(folder, bytes);
  AtomicFolder out(folder);
  for (size_t i = 0; i < shards.size(); ++i) {
    write_shard(out.path() / shard_name(i, shards.size()), shards[i], source, options.dtype);
  }
  if (shards.size() > 1) write_index(out.path() / "model.safetensors.index.json", shards);
  write_json_file(out.path() / "config.json", write_hf_config(config, options.dtype));
  write_side_files(out.path(), source, config);
  out.commit();
}

void require_replaceable(const fs::path& folder, bool force) {
  if (!fs::exists(folder)) return;
  if (!force) {
    fail(ExitCode::kUsage, "{}: exists; --force replaces it", folder.string());
  }
  bool replaceable = fs::is_directory(folder) &&
                     (fs::is_empty(folder) || (fs::exists(folder / "config.json") &&
                                               !fs::exists(folder / "adapter_config.json")));
  if (!replaceable) {
    fail(ExitCode::kUsage,
         "{}: holds something other than a model and is not replaced; give "
         "another folder",
         folder.string());
  }
}

int64_t parse_shard_size(std::string_view text, std::string_view option) {
  struct Unit {
    std::string_view name;
    int64_t bytes;
  };
  constexpr Unit kUnits[] = {{"", 1},
                             {"B", 1},
                             {"KB", 1000},
                             {"MB", 1000 * 1000},
                             {"GB", 1'000'000'000},
                             {"KiB", 1 << 10},
                             {"MiB", 1 << 20},
                             {"GiB", 1 << 30}};
  double value = 0;
  auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string_view suffix(end, static_cast<size_t>(text.data() + text.size() - end));
  for (const auto& unit : kUnits) {
    double bytes = value * static_cast<double>(unit.bytes);
    if (status == std::errc() && suffix == unit.name && bytes >= 1 && bytes < 9e15) {
      return static_cast<int64_t>(bytes);
    }
  }
  fail(ExitCode::kUsage, "{}: '{}' is no size; give bytes or a number with MB, GB, MiB or GiB",
       option, text);
}

}  // namespace longspan
