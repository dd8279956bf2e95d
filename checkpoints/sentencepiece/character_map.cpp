#include "checkpoints/sentencepiece/character_map.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <vector>

#include "src/core/utf8.h"

namespace longspan {

namespace {

static_assert(std::endian::native == std::endian::little);

/// An element of Darts-clone's double array.
struct DartsUnit {
  uint32_t bits;
  bool has_leaf() const { return (bits >> 8 & 1) != 0; }
  uint32_t value() const { return bits & 0x7FFFFFFF; }
  uint32_t label() const { return bits & 0x800000FF; }
  uint32_t offset() const { return (bits >> 10) << ((bits & (1U << 9)) >> 6); }
};

/// Whether each place that some text leads to lies in the array, and each value in the texts.
bool is_sound(const std::vector<DartsUnit>& units, size_t text_size) {
  std::vector<bool> seen(units.size());
  std::vector<uint32_t> open;
  auto visit = [&](uint32_t base) {
    if ((base | 0xFF) >= units.size()) return false;  // any byte may follow
    if (!seen[base]) open.push_back(base);
    seen[base] = true;
    return true;
  };
  if (units.empty() || !visit(units[0].offset())) return false;
  while (!open.empty()) {
    const uint32_t base = open.back();
    open.pop_back();
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const uint32_t at = base ^ byte;
      if (units[at].label() != byte) continue;
      const uint32_t next = at ^ units[at].offset();
      if (!visit(next)) return false;
      if (units[at].has_leaf() && units[next].value() >= text_size) return false;
    }
  }
  return true;
}

}  // namespace

bool is_sound_character_map(std::string_view map) {
  uint32_t trie_bytes = 0;
  if (map.size() <= sizeof trie_bytes) return false;
  std::memcpy(&trie_bytes, map.data(), sizeof trie_bytes);
  map.remove_prefix(sizeof trie_bytes);
  if (trie_bytes >= map.size() || trie_bytes % sizeof(DartsUnit) != 0) return false;
  const std::string_view texts = map.substr(trie_bytes);
  if (texts.back() != '\0' || valid_utf8_prefix(texts) < texts.size()) return false;
  std::vector<DartsUnit> units(trie_bytes / sizeof(DartsUnit));
  std::memcpy(units.data(), map.data(), trie_bytes);
  return is_sound(units, texts.size());
}

}  // namespace longspan
