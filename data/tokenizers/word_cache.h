#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

namespace longspan {

/// Remembers the ids of words. Direct-mapped: a word that hashes to a taken slot replaces what is
/// there, so memory is fixed (4 MiB) and nothing needs evicting. One thread at a time.
class WordCache {
 public:
  /// What fits into a slot; of the 208,077 pieces of a novel all but four do.
  static constexpr size_t kMaxBytes = 30;
  static constexpr size_t kMaxIds = 8;

  /// The ids of `word`, or nullptr data when it is not there.
  std::span<const int32_t> find(std::string_view word) const {
    if (word.size() > kMaxBytes || slots_.empty()) return {};
    const Slot& slot = slots_[place(word)];
    if (slot.bytes != word.size() || std::memcmp(slot.word, word.data(), word.size()) != 0) {
      return {};
    }
    return {slot.ids, slot.count};
  }

  void remember(std::string_view word, std::span<const int32_t> ids) {
    if (word.empty() || word.size() > kMaxBytes || ids.empty() || ids.size() > kMaxIds) return;
    if (slots_.empty()) slots_.resize(kSlots);
    Slot& slot = slots_[place(word)];
    slot.bytes = static_cast<uint8_t>(word.size());
    slot.count = static_cast<uint8_t>(ids.size());
    std::memcpy(slot.word, word.data(), word.size());
    std::memcpy(slot.ids, ids.data(), ids.size_bytes());
  }

 private:
  static constexpr size_t kSlots = size_t{1} << 16;
  struct Slot {
    uint8_t bytes = 0, count = 0;
    char word[kMaxBytes];
    int32_t ids[kMaxIds];
  };
  static_assert(sizeof(Slot) == 64);

  static size_t place(std::string_view word) {
    return std::hash<std::string_view>{}(word) % kSlots;
  }

  std::vector<Slot> slots_;
};

}  // namespace longspan
