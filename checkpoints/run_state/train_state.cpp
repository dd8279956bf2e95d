#include "checkpoints/run_state/train_state.h"

#include <map>

#include "checkpoints/safetensors.h"
#include "checkpoints/safetensors_writer.h"
#include "src/core/digest.h"
#include "src/core/fields.h"
#include "src/core/text.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kTrainStateVersion = 2, kFirstWithDigests = 2;
constexpr const char* kOptimizerFile = "optimizer.safetensors";
constexpr const char* kFileDigests = "files_sha256";
constexpr const char* kOwnDigest = "sha256";
constexpr const char* kRemedy =
    "put the file back as it was, or resume from an older checkpoint by --resume=PATH";
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

std::string sha256_of_file(const fs::path& path) {
  Digest hash;
  if (!hash.update_from(path)) {
    fail(ExitCode::kCheckpoint, "{}: cannot be read", path.string());
  }
  return hash.hex();
}

/// Of what state.json says, but for this digest.
std::string sha256_of_state(Json state) {
  state.erase(kOwnDigest);
  Digest hash;
  hash.update(json_line(state));
  return hash.hex();
}

/// Of each file that stands in the folder beside state.json.
std::map<std::string, std::string> sha256_of_files(const fs::path& folder) {
  std::map<std::string, std::string> digests;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file() && name != kTrainStateFile) {
      digests[name] = sha256_of_file(entry.path());
    }
  }
  return digests;
}

void require_sha256(const fs::path& file, const Json& expected, const std::string& found) {
  if (expected == found) return;
  fail(ExitCode::kCheckpoint, "{}: is not as the run wrote it: its SHA-256 is {}, expected {}; {}",
       file.string(), found, expected.is_string() ? expected.get<std::string>() : expected.dump(),
       kRemedy);
}

/// state.json first, which says what the others must be.
void require_as_written(const fs::path& folder, const Json& state) {
  require_sha256(folder / kTrainStateFile, state.value(kOwnDigest, Json()), sha256_of_state(state));
  const Json digests = state.value(kFileDigests, Json::object());
  for (const auto& [name, digest] : digests.items()) {
    const fs::path file = folder / name;
    if (!fs::is_regular_file(file)) {
      fail(ExitCode::kCheckpoint, "{}: is missing; {}", file.string(), kRemedy);
    }
    require_sha256(file, digest, sha256_of_file(file));
  }
}

}  // namespace

void write_train_state(const fs::path& folder, const TrainState& state) {
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
  Json json = {{"format_version", kTrainStateVersion},
               {"step", state.step},
               {"tokens", state.tokens},
               {"identity", state.identity},
               {kFileDigests, sha256_of_files(folder)}};
  json[kOwnDigest] = sha256_of_state(json);
  write_json_file(folder / kTrainStateFile, json);
}

TrainState read_train_state(const fs::path& folder) {
  const fs::path file = folder / kTrainStateFile;
  if (!fs::exists(file)) {
    fail(ExitCode::kCheckpoint,
         "{}: is no checkpoint of a run: it has no {}; expected a folder such as "
         "runs/<name>/checkpoints/step-000010",
         folder.string(), kTrainStateFile);
  }
  Json json = read_json_file(file, ExitCode::kCheckpoint);
  Diagnostics diagnostics(file.string());
  Fields fields(json, diagnostics);
  TrainState state;
  int64_t version = 1;
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
  if (version < 1) fields.error("format_version", fmt::format("{} is below 1", version));
  if (state.step < 0) fields.error("step", fmt::format("{} is below 0", state.step));
  diagnostics.throw_if_any(ExitCode::kCheckpoint);
  if (version >= kFirstWithDigests) require_as_written(folder, json);

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
