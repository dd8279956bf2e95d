#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace longspan {

/// A model on the Hugging Face hub: "ORG/NAME", "ORG/NAME@REVISION", or a bare "NAME" of old.
struct HubModel {
  std::string id;
  std::string revision = "main";  // branch, tag or commit
};

/// Nothing when `text` cannot be a hub id: a path, a wrong letter, "..".
std::optional<HubModel> parse_hub_model(std::string_view text);

/// The folder that huggingface_hub caches in, which need not exist: HF_HUB_CACHE, else
/// HUGGINGFACE_HUB_CACHE, else "hub" in hugging_face_home().
std::filesystem::path hub_cache_folder();
/// HF_HOME, else XDG_CACHE_HOME/huggingface, else ~/.cache/huggingface.
std::filesystem::path hugging_face_home();

/// models--ORG--NAME in the cache: holds refs/, snapshots/ and blobs/, as huggingface_hub lays out.
std::filesystem::path cached_repository(const HubModel& model);

/// `path` when it exists; else the snapshot of the hub id that it spells; else nothing.
std::optional<std::filesystem::path> look_up_model(const std::filesystem::path& path);
/// The same, but finding nothing throws Error(kModel) that says where it looked and what to do.
std::filesystem::path find_model(const std::filesystem::path& path);

}  // namespace longspan
