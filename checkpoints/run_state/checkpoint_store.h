#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

namespace longspan {

/// The checkpoints of one run: folders step-000010, step-000020, ... Each appears whole or not at
/// all (AtomicFolder), so what is listed can be resumed from.
class CheckpointStore {
 public:
  /// `folder` need not exist.
  explicit CheckpointStore(std::filesystem::path folder) : folder_(std::move(folder)) {}

  std::filesystem::path place(int64_t step) const;
  std::vector<int64_t> steps() const;  // ascending
  std::optional<std::filesystem::path> newest() const;
  /// Renames those beyond `step` to step-000300.old, in place of an older one: a run that goes on
  /// from `step` would find them as its newest. Returns what they are called now.
  std::vector<std::filesystem::path> set_aside_after(int64_t step) const;
  /// Removes all but the `count` newest, and what a killed run left half-written.
  void keep_last(int64_t count) const;

 private:
  std::filesystem::path folder_;
};

/// Whether read_peft_adapter() reads the folder itself: an adapter, or a checkpoint of whatever a
/// run trained.
bool is_adapter(const std::filesystem::path& folder);

/// The adapter that a folder stands for: itself where it is one, of a run folder its newest
/// checkpoint, else nothing.
std::optional<std::filesystem::path> find_adapter(const std::filesystem::path& folder);

}  // namespace longspan
