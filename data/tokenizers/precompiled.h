#pragma once

#include <string>
#include <string_view>

#include "src/core/character_map.h"

namespace longspan {

/// `text`, valid UTF-8, as the normalizer Precompiled of tokenizers 0.23.3 makes it: a grapheme of
/// less than 6 bytes becomes what its shortest beginning in the map becomes, else each of its
/// characters does. In `storage`, or `text` itself where nothing changes.
std::string_view with_precompiled(const CharacterMap& map, std::string_view text,
                                  std::string& storage);

}  // namespace longspan
