#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace longspan {

/// A precompiled_charsmap of SentencePiece: texts, and what each becomes. It is the size of a
/// double array (Darts-clone), the array, and the texts that its values are places in.
class CharacterMap {
 public:
  /// Nothing where some text leads out of the array, or a value out of the texts.
  static std::optional<CharacterMap> read(std::string_view bytes);

  /// What the shortest beginning of `text` that is in the map becomes.
  std::optional<std::string_view> find(std::string_view text) const;
  /// How many times as long a text may become.
  size_t growth() const { return growth_; }

 private:
  bool find_growth();

  std::vector<uint32_t> units_;
  std::string texts_;  // each with a NUL behind it
  size_t growth_ = 1;
};

}  // namespace longspan
