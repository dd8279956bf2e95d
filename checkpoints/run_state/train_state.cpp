#include "checkpoints/run_state/train_state.h"

#include "checkpoints/safetensors.h"
#include "checkpoints/safetensors_writer.h"
#include "src/core/fields.h"
#include "src/core/text.h"

namespace longspan {

namespace {

constexpr int64_t kTrainStateVersion = 1;
constexpr const char* kOptimizerFile = "optimizer.safetensors";
constexpr std::string_view kMaster = ".master", kExpAvg = ".exp_avg", kExpAvgSq = ".exp_avg_sq";
constexpr std::string_view kAbsmax = "_absmax";

std::string shown(const Json* value) { return value ? value->dump() : "nothing"; }

void compare(const Json* saved, const Json* current, const std::string& path,
             std::vector<std::string>& differences) {
  if (saved && current && *saved == *current) return;
  bool maps = saved && current && saved->is_object() && current->is_object();
  bool lists = saved && current && saved->is_array() && current->is_array() &&
               saved->size() == current->size() && !saved->empty() && saved->front().is_object();
  if (!maps && !lists) {
    differences.push_back(
        fmt::format("  {}: {} in the checkpoint, {} now", path, shown(saved), shown(current)));
    return;
  }
  const auto path_of = [&](const std::string& key) {
    return path.empty() ? key : path + "." + key;
  };
  if (lists) {
    for (size_t i = 0; i < saved->size(); ++i) {
      compare(&(*saved)[i], &(*current)[i], path_of(std::to_string(i)), differences);
    }
    return;
  }
  for (const auto& [key, value] : saved->items()) {
    auto other = current->find(key);
    compare(&value, other == current->end() ? nullptr : &*other, path_of(key), differences);
  }
  for (const auto& [key, value] : current->items()) {
    if (!saved->contains(key)) compare(nullptr, &value, path_of(key), differences);
  }
}

}  // namespace

void write_train_state(const std::filesystem::path& folder, const TrainState& state) {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const auto& weight : state.weights) {
    tensors.emplace_back(weight.name + std::string(kMaster), weight.master);
    tensors.emplace_back(weight.name + std::string(kExpAvg), weight.exp_avg);
    tensors.emplace_back(weight.name + std::string(kExpAvgSq), weight.exp_avg_sq);
    if (!weight.exp_avg_absmax.defined()) continue;
    tensors.emplace_back(fmt::format("{}{}{}", weight.name, kExpAvg, kAbsmax),
                         weight.exp_avg_absmax);
    tensors.emplace_back(fmt::format("{}{}{}", weight.name, kExpAvgSq, kAbsmax),
                         weight.exp_avg_sq_absmax);
  }
  write_safetensors(folder / kOptimizerFile, tensors);
  write_json_file(folder / kTrainStateFile, {{"format_version", kTrainStateVersion},
                                             {"step", state.step},
                                             {"tokens", state.tokens},
                                             {"identity", state.identity}});
}

TrainState read_train_state(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / kTrainStateFile;
  if (!std::filesystem::exists(file)) {
    fail(ExitCode::kCheckpoint,
         "{}: is no checkpoint of a run: it has no {}; expected a folder such as "
         "runs/<name>/checkpoints/step-000010",
         folder.string(), kTrainStateFile);
  }
  Json json = read_json_file(file, ExitCode::kCheckpoint);
  Diagnostics diagnostics(file.string());
  Fields fields(json, diagnostics);
  TrainState state;
  int64_t version = 0;
  fields.required("format_version", version);
  if (version > kTrainStateVersion) {
    fail(ExitCode::kCheckpoint,
         "{}: format_version {} is newer than this program reads ({}); resume with the program "
         "that wrote it",
         file.string(), version, kTrainStateVersion);
  }
  fields.required("step", state.step);
  fields.required("tokens", state.tokens);
  fields.required("identity", state.identity);
  if (state.step < 0) fields.error("step", fmt::format("{} is below 0", state.step));
  diagnostics.throw_if_any(ExitCode::kCheckpoint);

  SafetensorsReader reader(folder / kOptimizerFile);
  for (const auto& info : reader.tensors()) {
    if (!info.name.ends_with(kMaster)) continue;
    std::string name = info.name.substr(0, info.name.size() - kMaster.size());
    for (auto part : {kExpAvg, kExpAvgSq}) {
      if (reader.contains(name + std::string(part))) continue;
      fail(ExitCode::kCheckpoint,
           "{}: has no tensor '{}{}'; the checkpoint is damaged, resume from an older one",
           (folder / kOptimizerFile).string(), name, part);
    }
    const auto absmax = [&](std::string_view moment) {
      const std::string scales = fmt::format("{}{}{}", name, moment, kAbsmax);
      return reader.contains(scales) ? reader.tensor(scales) : at::Tensor();
    };
    state.weights.push_back(
        {name, reader.tensor(info.name), reader.tensor(name + std::string(kExpAvg)),
         reader.tensor(name + std::string(kExpAvgSq)), absmax(kExpAvg), absmax(kExpAvgSq)});
  }
  return state;
}

void require_same_identity(const Json& saved, const Json& current, const std::string& place) {
  std::vector<std::string> differences;
  compare(&saved, &current, "", differences);
  if (differences.empty()) return;
  fail(ExitCode::kCheckpoint,
       "{}: the checkpoint belongs to another run:\n{}\nresume with what it was trained with, or "
       "start anew in another output.dir; docs/recipes.md says what may change",
       place, fmt::join(printable_values(differences), "\n"));
}

}  // namespace longspan
