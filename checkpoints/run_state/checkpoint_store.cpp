#include "checkpoints/run_state/checkpoint_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "checkpoints/run_state/train_state.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kStepPrefix = "step-";

std::optional<int64_t> step_of(const std::string& name) {
  if (!name.starts_with(kStepPrefix)) return std::nullopt;
  int64_t step = 0;
  const char* end = name.data() + name.size();
  auto [rest, status] = std::from_chars(name.data() + kStepPrefix.size(), end, step);
  if (status != std::errc() || rest != end || step < 0) return std::nullopt;
  return step;
}

}  // namespace

fs::path CheckpointStore::place(int64_t step) const {
  return folder_ / fmt::format("{}{:06}", kStepPrefix, step);
}

std::vector<int64_t> CheckpointStore::steps() const {
  std::vector<int64_t> steps;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(folder_, missing)) {
    auto step = step_of(entry.path().filename().string());
    if (step && entry.path() == place(*step) && entry.is_directory()) steps.push_back(*step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

std::optional<fs::path> CheckpointStore::newest() const {
  auto all = steps();
  if (all.empty()) return std::nullopt;
  return place(all.back());
}

std::vector<fs::path> CheckpointStore::set_aside_after(int64_t step) const {
  std::vector<fs::path> aside;
  for (int64_t later : steps()) {
    if (later <= step) continue;
    aside.push_back(place(later).string() + ".old");
    fs::remove_all(aside.back());
    fs::rename(place(later), aside.back());
  }
  return aside;
}

void CheckpointStore::keep_last(int64_t count) const {
  auto all = steps();
  auto surplus = std::max<int64_t>(0, static_cast<int64_t>(all.size()) - count);
  std::error_code ignored;
  for (int64_t i = 0; i < surplus; ++i) fs::remove_all(place(all[i]), ignored);
  std::vector<fs::path> unfinished;
  for (const auto& entry : fs::directory_iterator(folder_, ignored)) {
    std::string name = entry.path().filename().string();
    if (name.starts_with(kStepPrefix) && name.find(".part-") != name.npos) {
      unfinished.push_back(entry.path());
    }
  }
  for (const auto& path : unfinished) fs::remove_all(path, ignored);
}

bool is_adapter(const fs::path& folder) {
  return fs::exists(folder / "adapter_config.json") || fs::exists(folder / kTrainStateFile);
}

std::optional<fs::path> find_adapter(const fs::path& folder) {
  if (is_adapter(folder)) return folder;
  return CheckpointStore(folder / "checkpoints").newest();
}

}  // namespace longspan
