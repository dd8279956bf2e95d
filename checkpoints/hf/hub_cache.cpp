#include "checkpoints/hf/hub_cache.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "src/core/text.h"

namespace longspan {

namespace fs = std::filesystem;

namespace {

/// An environment variable as a path, with a leading ~ as the home folder; nothing when unset.
std::optional<fs::path> path_variable(const char* name) {
  const char* value = std::getenv(name);
  if (!value || !*value) return std::nullopt;
  std::string_view text = value;
  const char* home = std::getenv("HOME");
  if (home && (text == "~" || text.starts_with("~/"))) {
    return fs::path(std::string(home) + std::string(text.substr(1)));
  }
  return fs::path(text);
}

/// Letters, digits and the marks given; no part of only dots, which would climb out of the cache.
bool is_name(std::string_view text, std::string_view marks) {
  auto allowed = [&](unsigned char c) {
    return (c < 0x80 && std::isalnum(c)) || marks.find(static_cast<char>(c)) != marks.npos;
  };
  return !text.empty() && text.size() <= 200 && text.find("..") == text.npos &&
         text.front() != '.' && text.front() != '-' && text.front() != '/' && text.back() != '/' &&
         std::all_of(text.begin(), text.end(), allowed);
}

bool is_commit(std::string_view revision) {
  return revision.size() == 40 && revision.find_first_not_of("0123456789abcdef") == revision.npos;
}

/// The folder of its revision in the cache, if that is there.
std::optional<fs::path> cached_snapshot(const HubModel& model) {
  fs::path repository = cached_repository(model);
  std::string commit = model.revision;
  std::error_code status;
  if (!is_commit(commit)) {
    fs::path ref = repository / "refs" / model.revision;
    if (!fs::is_regular_file(ref, status)) return std::nullopt;
    commit = read_file(ref, ExitCode::kModel);
    if (!is_commit(commit)) {
      fail(ExitCode::kModel, "{}: holds no commit; remove it and run longspan pull {}",
           ref.string(), model.id);
    }
  }
  fs::path snapshot = repository / "snapshots" / commit;
  if (!fs::is_directory(snapshot, status)) return std::nullopt;
  return snapshot;
}

}  // namespace

std::optional<HubModel> parse_hub_model(std::string_view text) {
  HubModel model;
  size_t at = text.find('@');
  if (at != text.npos) model.revision = text.substr(at + 1);
  model.id = text.substr(0, at);
  if (!is_name(model.id, "/._-") || std::count(model.id.begin(), model.id.end(), '/') > 1 ||
      model.id.find("--") != model.id.npos || !is_name(model.revision, "/._-+")) {
    return std::nullopt;
  }
  return model;
}

fs::path hugging_face_home() {
  if (auto home = path_variable("HF_HOME")) return *home;
  if (auto cache = path_variable("XDG_CACHE_HOME")) return *cache / "huggingface";
  return path_variable("HOME").value_or("/") / ".cache" / "huggingface";
}

fs::path hub_cache_folder() {
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (auto folder = path_variable(name)) return *folder;
  }
  return hugging_face_home() / "hub";
}

fs::path cached_repository(const HubModel& model) {
  std::string folder = "models--" + model.id;
  if (size_t slash = folder.find('/'); slash != folder.npos) folder.replace(slash, 1, "--");
  return hub_cache_folder() / folder;
}

std::optional<fs::path> look_up_model(const fs::path& path) {
  std::error_code status;
  if (fs::exists(path, status)) return path;
  if (auto model = parse_hub_model(path.string())) return cached_snapshot(*model);
  return std::nullopt;
}

fs::path find_model(const fs::path& path) {
  if (auto found = look_up_model(path)) return *found;
  auto model = parse_hub_model(path.string());
  if (!model || model->id.find('/') == model->id.npos) {
    fail(ExitCode::kModel,
         "{}: there is no such model; expected a Hugging Face folder, a .gguf file, or a hub id "
         "ORG/NAME",
         path.string());
  }
  fail(ExitCode::kModel,
       "{}: there is no such model: neither a file or folder here, nor revision '{}' in {}; "
       "download it with: longspan pull {}{}",
       path.string(), model->revision, cached_repository(*model).string(), model->id,
       model->revision == "main" ? "" : " --revision " + model->revision);
}

}  // namespace longspan
