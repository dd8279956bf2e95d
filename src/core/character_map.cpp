#include "src/core/character_map.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <deque>

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

}  // namespace

std::optional<CharacterMap> CharacterMap::read(std::string_view bytes) {
  uint32_t trie_bytes = 0;
  if (bytes.size() <= sizeof trie_bytes) return std::nullopt;
  std::memcpy(&trie_bytes, bytes.data(), sizeof trie_bytes);
  bytes.remove_prefix(sizeof trie_bytes);
  if (trie_bytes >= bytes.size() || trie_bytes % sizeof(uint32_t) != 0) return std::nullopt;
  CharacterMap map;
  map.texts_ = bytes.substr(trie_bytes);
  if (map.texts_.back() != '\0' || valid_utf8_prefix(map.texts_) < map.texts_.size()) {
    return std::nullopt;
  }
  map.units_.resize(trie_bytes / sizeof(uint32_t));
  std::memcpy(map.units_.data(), bytes.data(), trie_bytes);
  if (!map.find_growth()) return std::nullopt;
  return map;
}

/// Visits all that some text leads to, by its length; false where a place lies in no array.
bool CharacterMap::find_growth() {
  struct Place {
    uint32_t base;
    size_t length;
  };
  std::vector<bool> seen(units_.size());
  std::deque<Place> open;
  auto visit = [&](uint32_t base, size_t length) {
    if ((base | 0xFF) >= units_.size()) return false;  // any byte may follow
    if (!seen[base]) open.push_back({base, length});
    seen[base] = true;
    return true;
  };
  if (units_.empty() || !visit(DartsUnit{units_[0]}.offset(), 0)) return false;
  for (; !open.empty(); open.pop_front()) {
    const auto [base, length] = open.front();
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const uint32_t at = base ^ byte;
      const DartsUnit unit{units_[at]};
      if (unit.label() != byte) continue;
      const uint32_t next = at ^ unit.offset();
      if (!visit(next, length + 1)) return false;
      if (!unit.has_leaf()) continue;
      const uint32_t value = DartsUnit{units_[next]}.value();
      if (value >= texts_.size()) return false;
      const size_t made = std::strlen(texts_.c_str() + value);
      growth_ = std::max(growth_, (made + length) / (length + 1));
    }
  }
  return true;
}

std::optional<std::string_view> CharacterMap::find(std::string_view text) const {
  uint32_t at = DartsUnit{units_[0]}.offset();
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0) return std::nullopt;
    at ^= byte;
    const DartsUnit unit{units_[at]};
    if (unit.label() != byte) return std::nullopt;
    at ^= unit.offset();
    if (unit.has_leaf()) return texts_.c_str() + DartsUnit{units_[at]}.value();
  }
  return std::nullopt;
}

}  // namespace longspan
